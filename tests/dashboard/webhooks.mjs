// Creates, tests and changes webhooks as a person does. `tests/dashboard.rs` starts the host.
//
// Environment: as in browser.mjs, and RECEIVER: the URL of a service that accepts requests.

import assert from "node:assert/strict";
import { SIZES, open, run, shoot, step, url } from "./browser.mjs";

const { RECEIVER: receiver } = process.env;
const HOSTILE = "http://127.0.0.1:1/<img src=x onerror=hacked=1>";

const list = async (page) => {
  await page.goto(`${url}/#/webhooks`);
  await page.getByRole("link", { name: "Create webhook" }).waitFor();
};

await run(async () => {
  const page = await open();
  await step("a host without webhooks says so, and where they are kept", async () => {
    await list(page);
    await page.getByText("No webhooks.").waitFor();
    await page.getByText(/^Webhooks are kept in .*webhooks\.toml\.$/).waitFor();
  });

  await step("mistakes are shown at their fields", async () => {
    await page.getByRole("link", { name: "Create webhook" }).click();
    await page.getByLabel("Webhook name").fill("my webhook");
    await page.getByLabel("URL", { exact: true }).fill("localhost:5000");
    await page.getByLabel("Topic filters").fill("t/#\na/#/b");
    await page.getByRole("button", { name: "Create" }).click();
    await page.locator("#url-problem").getByText(/should begin with http:|is not a URL/).waitFor();
    await page.locator("#topics-problem").getByText("topics[1]").waitFor();
    await page.locator("#name-problem").getByText("letters, digits").waitFor();
    assert.equal(await page.getByLabel("Webhook name").getAttribute("aria-invalid"), "true");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-invalid")), "true", "the focus is on a mistake");
  });

  await step("the webhook of EMQX's tutorial: all messages and events, tested, created", async () => {
    await page.getByLabel("Webhook name").fill("my_webhook");
    assert.ok(await page.getByLabel("All messages and events").isChecked());
    await page.getByLabel("Topic filters").fill("");
    await page.getByLabel("URL", { exact: true }).fill("http://127.0.0.1:1/");
    await page.getByRole("button", { name: "Test", exact: true }).click();
    await page.getByText("nothing listens at this address").waitFor();
    await page.getByLabel("URL", { exact: true }).fill(receiver);
    await page.getByRole("button", { name: "Test", exact: true }).click();
    await page.getByText("Test: status 200").waitFor();
    await page.getByText("More settings", { exact: true }).click();
    await page.getByLabel("More settings as JSON").fill("{\"emqx_version\": \"5.2\"}");
    await page.getByRole("button", { name: "Show request" }).click();
    await page.locator("pre").getByText("message.publish").waitFor();
    for (const colorScheme of ["light", "dark"]) {
      for (const [size, viewport] of Object.entries(SIZES)) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await shoot(page, `webhook-form-${size}-${colorScheme}`);
      }
    }
    await page.setViewportSize(SIZES.desktop);
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("link", { name: "my_webhook" }).waitFor();
    await page.getByRole("button", { name: "Test" }).click();
    await page.getByText("my_webhook: status 200").waitFor();
  });

  await step("of two people who change it, the second is told", async () => {
    await page.getByRole("link", { name: "my_webhook" }).click();
    await page.getByLabel("Bearer token").fill("a-secret-token");
    const other = await open();
    await other.goto(`${url}/#/webhooks?edit=my_webhook`);
    await other.getByLabel("Condition").fill("true = true");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Test" }).waitFor();
    await other.getByRole("button", { name: "Save" }).click();
    await other.getByText("was changed meanwhile").waitFor();
    await other.getByRole("link", { name: "Read it again" }).click();
    await other.waitForFunction(() => document.getElementById("bearer")?.value === "******");
    assert.equal(await other.getByLabel("Condition").inputValue(), "");
    await other.context().close();
  });

  await step("it is disabled, enabled and kept apart from HTML", async () => {
    await page.getByRole("button", { name: "Disable" }).click();
    await page.getByText("my_webhook is disabled.").waitFor();
    await page.getByRole("button", { name: "Enable" }).click();
    await page.getByText("my_webhook is enabled.").waitFor();
    await page.getByRole("link", { name: "Create webhook" }).click();
    await page.getByLabel("Webhook name").fill("hostile");
    await page.getByLabel("URL", { exact: true }).fill(HOSTILE);
    await page.getByLabel("Chosen messages and events").check();
    await page.getByLabel("Client disconnected").check();
    await page.getByRole("button", { name: "Add header" }).click();
    await page.getByLabel("Header name").fill("x-hostile");
    await page.getByLabel("Header value").fill(HOSTILE);
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("cell", { name: HOSTILE, exact: true }).waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0);
    assert.equal(await page.evaluate(() => globalThis.hacked), undefined);
  });

  await step("an event is tried", async () => {
    await page.getByRole("link", { name: "Try an event" }).click();
    await page.waitForFunction(() => document.getElementById("trial-event")?.value.includes("message-publish"));
    await page.getByRole("button", { name: "Try", exact: true }).click();
    await page.getByRole("heading", { name: "my_webhook" }).getByText("deliver").waitFor();
    await page.getByLabel("Event as JSON").fill("{");
    await page.getByRole("button", { name: "Try", exact: true }).click();
    await page.locator("#trial-problem").getByText(/JSON/).waitFor();
    await page.getByLabel("Event", { exact: true }).selectOption("client_disconnected");
    await page.waitForFunction(() => document.getElementById("trial-event").value.includes("client-disconnected"));
    await page.getByRole("button", { name: "Try", exact: true }).click();
    await page.getByRole("heading", { name: "hostile" }).waitFor();
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      await step(`list and trial fit: ${size}, ${colorScheme}`, async () => {
        const other = await open({ colorScheme, viewport });
        await list(other);
        await other.getByRole("link", { name: "my_webhook" }).waitFor();
        await shoot(other, `webhook-list-${size}-${colorScheme}`);
        await other.getByRole("link", { name: "Try an event" }).click();
        await other.waitForFunction(() => document.getElementById("trial-event")?.value.includes("message-publish"));
        await other.getByRole("button", { name: "Try", exact: true }).click();
        await other.getByRole("heading", { name: "my_webhook" }).waitFor();
        await shoot(other, `webhook-trial-${size}-${colorScheme}`);
        await other.context().close();
      });
    }
  }

  await step("a method in lower case stays the method", async () => {
    const settings = { name: "lower", url: receiver, method: "put", events: ["session_taken_over"] };
    assert.ok((await page.request.post(`${url}/api/v1/webhooks`, { data: settings })).ok());
    await page.goto(`${url}/#/webhooks?edit=lower`);
    await page.waitForFunction(() => document.getElementById("method")?.value === "PUT");
    assert.ok(await page.getByLabel("Session taken over").isChecked());
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("link", { name: "lower" }).waitFor();
    const saved = await (await page.request.get(`${url}/api/v1/webhooks/lower`)).json();
    assert.deepEqual([saved.settings.method, saved.settings.events], ["PUT", ["session_taken_over"]]);
  });

  await step("a webhook is removed after a question", async () => {
    await list(page);
    const row = page.getByRole("row").filter({ hasText: "hostile" });
    await row.getByRole("button", { name: "Remove" }).click();
    await page.locator("#confirm").getByRole("button", { name: "Remove" }).click();
    await page.getByText("hostile is removed.").waitFor();
  });
});
