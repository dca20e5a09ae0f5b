// Uses the dashboard of a running host as a person does, in headless Chromium. `tests/dashboard.rs` starts it.
//
// Environment: as in browser.mjs, TOKEN and VIEWER_TOKEN of the host, and HOSTILE (a client id with HTML). Prints one line for each step.

import assert from "node:assert/strict";
import { SIZES, open, run, shoot, step, url } from "./browser.mjs";

const { TOKEN: token, VIEWER_TOKEN: viewerToken, HOSTILE: hostile } = process.env;
const PAGES = ["overview", "deliveries", "webhooks", "dead-letters", "destinations", "modules", "quarantine", "clients", "configuration"];

async function logIn(page, withToken = token) {
  await page.goto(url);
  await page.getByLabel("Token").fill(withToken);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.locator(".card").first().waitFor();
}

async function visit(page, name) {
  await page.goto(`${url}/#/${name}`);
  await page.locator(`#nav a[href="#/${name}"][aria-current="page"]`).waitFor();
  await page.getByText("Loading…").waitFor({ state: "detached" });
}

await run(async () => {
  const page = await open();
  await step("a wrong token is refused, the right one opens the overview", async () => {
    await page.goto(url);
    await page.getByLabel("Token").fill("wrong-wrong-wrong-wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("this is not the token of this host").waitFor();
    await page.keyboard.press("Escape");
    assert.ok(await page.getByLabel("Token").isVisible(), "the dialog stays");
    await logIn(page);
  });

  await step("scripts cannot read the cookie", async () => {
    assert.equal(await page.evaluate(() => document.cookie), "");
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  });

  await step("the overview is live", async () => {
    await page.locator(".chart").first().waitFor();
    await page.getByRole("cell", { name: "webhook", exact: true }).waitFor();
  });

  await step("every page works with the keyboard", async () => {
    await page.goto(`${url}/#/overview`);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
    for (const name of PAGES) {
      await page.locator(`#nav a[href="#/${name}"]`).focus();
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.equal(outline, "solid", `the focus on ${name} is visible`);
      await page.keyboard.press("Enter");
      await page.locator(`#nav a[href="#/${name}"][aria-current="page"]`).waitFor();
    }
  });

  await step("HTML in client ids, topics and reasons is text", async () => {
    await visit(page, "clients");
    await page.getByRole("cell", { name: hostile, exact: true }).waitFor();
    await visit(page, "quarantine");
    await page.getByRole("cell", { name: hostile }).first().waitFor();
    await page.getByRole("button", { name: "Show" }).first().click();
    await page.locator("pre").first().waitFor();
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
    assert.equal(await page.locator("main img, main script").count(), 0);
  });

  await step("deliveries are found by status, client and event", async () => {
    await visit(page, "deliveries");
    await page.getByRole("cell", { name: "delivered", exact: true }).first().waitFor();
    await page.getByLabel("Only failed").check();
    await page.waitForFunction(() => [...document.querySelectorAll("tbody .badge")].every((badge) => badge.textContent !== "delivered"));
    await page.getByRole("cell", { name: "422", exact: true }).first().waitFor();
    await page.getByLabel("Client id").fill("somebody else");
    await page.getByText("No attempts match.").waitFor();
    await page.getByLabel("Topic filter").fill("a/#/b");
    await page.getByText("topic is not a topic filter").waitFor();
  });

  await step("what happened to one event is shown", async () => {
    // The filters of the step before are gone on a new page.
    await visit(page, "overview");
    await visit(page, "deliveries");
    await page.getByLabel("Only failed").check();
    await page.waitForFunction(() => [...document.querySelectorAll("tbody .badge")].every((badge) => badge.textContent !== "delivered"));
    await page.locator('tbody a[href*="event="]').first().click();
    const way = page.getByRole("region", { name: "What happened, oldest first" });
    await way.getByText(/answered, 1 requests/).waitFor();
    await way.getByText(/attempt 1: dropped, status 422/).waitFor();
    await way.getByRole("link", { name: /^dead letter \d+: refused/ }).click();
    await page.getByRole("button", { name: "Send again" }).waitFor();
  });

  await step("a dead letter is shown, sent again and deleted", async () => {
    await visit(page, "destinations");
    await page.getByRole("cell", { name: "sending", exact: true }).first().waitFor();
    await page.locator('a[href^="#/dead-letters?destination="]').first().click();
    await page.getByRole("button", { name: "Send again" }).first().waitFor();
    await page.getByRole("button", { name: "Show" }).first().click();
    await page.getByText("Failed attempts, oldest first").waitFor();
    await page.getByRole("button", { name: "Send again" }).first().click();
    await page.getByText(/is sent again/).waitFor();
    await page.goto(`${url}/#/dead-letters?module=none`);
    await page.getByText("No dead letters.").waitFor();
    await visit(page, "dead-letters");
    const row = page.getByRole("row").filter({ has: page.getByRole("button", { name: "Delete" }) }).first();
    const number = await row.locator("td").first().textContent();
    await row.getByRole("button", { name: "Delete" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Delete" }).click();
    await page.waitForFunction((deleted) => [...document.querySelectorAll("tbody tr")].every((letter) => letter.cells[0].textContent !== deleted), number);
  });

  await step("clients are searched and disconnected after a question", async () => {
    await visit(page, "clients");
    await page.getByLabel("Search").fill("no such client");
    await page.getByText("No client matches.").waitFor();
    await page.getByLabel("Search").fill("onerror");
    await page.getByRole("cell", { name: hostile, exact: true }).waitFor();
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Cancel" }).click();
    assert.ok(await page.getByRole("cell", { name: hostile, exact: true }).isVisible());
    await page.getByRole("button", { name: "Disconnect" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Disconnect" }).click();
    await page.getByText("No client matches.").waitFor();
  });

  await step("a quarantined event is deleted, modules are reloaded, the log filter is set", async () => {
    await visit(page, "quarantine");
    const rows = page.locator("tbody tr");
    const before = await rows.count();
    await page.getByRole("button", { name: "Delete" }).first().click();
    await page.locator("#confirm").getByRole("button", { name: "Delete" }).click();
    await page.waitForFunction((count) => document.querySelectorAll("tbody tr").length === count, before - 1);
    await visit(page, "modules");
    await page.getByRole("button", { name: "Reload configuration and modules" }).click();
    await page.getByText(/^Reloaded:/).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByText("Upload a module").click();
    await page.getByRole("button", { name: "Upload" }).click();
    await page.getByText("Choose a file.").waitFor();
    const file = page.getByLabel("WebAssembly component");
    await file.setInputFiles({ name: "page.wasm", mimeType: "application/wasm", buffer: Buffer.from("<html>") });
    assert.equal(await page.getByLabel("Name").inputValue(), "page");
    await page.getByRole("button", { name: "Upload" }).click();
    await page.getByText("This is not a WebAssembly file.").waitFor();
    await file.setInputFiles({ name: "page.wasm", mimeType: "application/wasm", buffer: Buffer.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0]) });
    await page.getByRole("button", { name: "Upload" }).click();
    await page.getByText(/^page: /).first().waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("region", { name: "Module page" }).getByRole("button", { name: "Disable" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Disable" }).click();
    await page.getByRole("region", { name: "Module page" }).getByRole("button", { name: "Enable" }).waitFor();
    await page.getByRole("region", { name: "Module probe" }).getByRole("button", { name: "Disable" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Disable" }).click();
    await page.getByRole("region", { name: "Module probe" }).getByRole("button", { name: "Enable" }).click();
    await page.getByRole("region", { name: "Module probe" }).getByText("running", { exact: true }).waitFor();
    await visit(page, "configuration");
    await page.getByLabel("Log filter").fill("debug,rmqtt=warn");
    await page.getByRole("button", { name: "Set" }).click();
    await page.getByText("The log filter is now debug,rmqtt=warn").waitFor();
  });

  await step("a recent event is tried with the rules", async () => {
    await page.goto(`${url}/#/webhooks?try`);
    const recent = page.getByLabel("Or a recent event");
    const option = recent.locator("option", { hasText: hostile }).first();
    await recent.selectOption(await option.getAttribute("value"));
    await page.waitForFunction((client) => document.getElementById("trial-event").value.includes(JSON.stringify(client)), hostile);
    await page.getByRole("button", { name: "Try" }).click();
    await page.getByText("Webhooks and rules that fit the event").waitFor();
  });

  await step("a viewer sees every page, and no button that changes something", async () => {
    const viewer = await open();
    await logIn(viewer, viewerToken);
    for (const name of PAGES) {
      await visit(viewer, name);
      const names = await viewer.locator("main button:visible").allTextContents();
      const changing = names.filter((text) => !["Refresh", "Show", "Close"].includes(text));
      assert.deepEqual(changing, [], name);
    }
    await visit(viewer, "webhooks");
    await viewer.getByRole("link", { name: "Try an event" }).waitFor();
    assert.equal(await viewer.getByRole("link", { name: "Create webhook" }).count(), 0);
    await viewer.goto(`${url}/#/webhooks?edit=of_the_file`);
    await viewer.getByText("You can read this webhook, but not change it.").waitFor();
    assert.ok(await viewer.getByLabel("Condition").isDisabled());
    assert.equal(await viewer.getByRole("button", { name: "Save" }).count(), 0);
    await viewer.context().close();
  });

  await step("the page of the API shows every operation without a token", async () => {
    const reader = await open();
    await reader.goto(`${url}/openapi`);
    const operation = reader.locator("details").filter({ hasText: "/api/v1/webhooks/{name}/test" });
    await operation.locator("summary").click();
    await operation.getByRole("link", { name: "WebhookTest" }).click();
    await reader.locator("#schema-WebhookTest").getByRole("cell", { name: "outcome" }).waitFor();
    const { paths } = await (await fetch(`${url}/openapi.json`)).json();
    const count = Object.values(paths).flatMap(Object.keys).length;
    assert.equal(await reader.locator("details").count(), count);
    await reader.context().close();
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await step(`every page fits: ${size}, ${colorScheme}`, async () => {
        const other = await open({ colorScheme, viewport });
        await logIn(other);
        for (const name of PAGES) {
          await visit(other, name);
          await shoot(other, `${name}-${size}-${colorScheme}`);
        }
        // Its list of recent events has topics of any length.
        await other.goto(`${url}/#/webhooks?try`);
        await other.waitForFunction(() => document.getElementById("trial-recent")?.options.length > 1);
        await shoot(other, `webhook-trial-recent-${size}-${colorScheme}`);
        await other.goto(`${url}/openapi`);
        await other.locator("details summary").first().click();
        await shoot(other, `openapi-${size}-${colorScheme}`);
        await other.context().close();
      });
    }
  }

  await step("logging out ends the session", async () => {
    await page.goto(`${url}/#/overview`);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.deepEqual(await page.context().cookies(), []);
  });
});
