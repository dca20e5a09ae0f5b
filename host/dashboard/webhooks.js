// Webhooks: list, create, edit, test, enable, remove; and what they would send for an event.

import { change, encoded, get, isViewer, query } from "./api.js";
import { badge, button, changeButton, confirmed, count, el, table, tell, twoLines } from "./dom.js";
import { editor } from "./webhook-form.js";
import { trial } from "./webhook-trial.js";

/** Time without typing before a search begins, in milliseconds. */
const TYPING_PAUSE = 250;
const PAGE = 100;

export async function webhooks(root) {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "");
  if (given.has("edit")) return editor(root, given.get("edit"));
  if (given.has("new")) return editor(root, null);
  if (given.has("try")) return trial(root);
  const search = el("input", { id: "webhooks-search", type: "search", placeholder: "name or URL" });
  const place = el("div", { "aria-live": "polite" });
  let limit = PAGE;
  const refresh = async () => {
    const [answer, { destinations }] = await Promise.all([
      get(`/webhooks${query({ search: search.value.trim(), limit })}`),
      get("/destinations"),
    ]);
    const states = new Map(destinations.map((state) => [state.name, state]));
    place.replaceChildren(el("div", {},
      el("p", { class: answer.file === null ? "warn" : "faint" }, answer.file === null
        ? "Webhooks are in memory: they are lost when the host stops. Start it with --data DIR to keep them."
        : `Webhooks are kept in ${answer.file}.`),
      view(answer.webhooks, states, { test, enable, remove }),
      answer.more && el("p", { class: "buttons" }, el("span", {}, `${count(answer.webhooks.length)} of ${count(answer.total)} are shown. `),
        limit < 1000 ? button("Show more", () => { limit = Math.min(1000, limit * 4); return refresh(); }, "quiet") : "Search for the others.")));
  };
  const test = async (name) => {
    const answer = await change("POST", `/webhooks/${encoded(name)}/test`);
    tell(`${name}: ${testText(answer)}`, answer.ok ? "good" : "bad");
  };
  const enable = async (webhook) => {
    await change("POST", `/webhooks/${encoded(webhook.name)}/${webhook.enabled ? "disable" : "enable"}`, { etag: webhook.etag });
    tell(`${webhook.name} is ${webhook.enabled ? "disabled" : "enabled"}.`);
    await refresh();
  };
  const remove = async (webhook) => {
    if (!(await confirmed(`Remove webhook ${webhook.name}? Requests that wait are still sent.`, "Remove"))) return;
    await change("DELETE", `/webhooks/${encoded(webhook.name)}`, { etag: webhook.etag });
    tell(`${webhook.name} is removed.`);
    await refresh();
  };
  let pause = null;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(refresh, TYPING_PAUSE);
  });
  root.append(
    el("p", { class: "buttons" },
      isViewer() ? null : el("a", { class: "button", href: "#/webhooks?new" }, "Create webhook"),
      el("a", { class: "button quiet", href: "#/webhooks?try" }, "Try an event")),
    el("div", { class: "filters", role: "search" }, el("div", {}, el("label", { for: search.id }, "Search"), search)),
    place);
  await refresh();
  return () => clearTimeout(pause);
}

function view(list, states, { test, enable, remove }) {
  const texts = (value, none) => (Array.isArray(value) && value.length > 0 ? value.join(", ") : none);
  const state = (row) => states.get(`webhooks/${row.name}`);
  const number = (row, of) => (state(row) === undefined ? "–" : count(of(state(row))));
  return table("Webhooks by name, then the rules of the configuration", [
    { title: "Name", text: true, cell: (row) => (row.read_only ? row.name : el("a", { href: `#/webhooks?edit=${encoded(row.name)}` }, row.name)) },
    { title: "State", cell: (row) => {
      if (row.problems.length > 0) return el("span", { title: row.problems.join("\n") }, badge("invalid", "bad"));
      return row.enabled ? badge("enabled", "good") : badge("disabled", "warn");
    } },
    { title: "Trigger", text: true, cell: (row) => twoLines(texts(row.settings.events, "all events"), row.settings.topics && `on ${texts(row.settings.topics, "all topics")}`) },
    { title: "URL", text: true, cell: (row) => row.settings.url ?? texts(row.settings.urls, "–") },
    { title: "Delivered", number: true, cell: (row) => number(row, (counts) => counts.delivered) },
    { title: "Failed", number: true, cell: (row) => number(row, (counts) => counts.dead.total) },
    { title: "Waiting", number: true, cell: (row) => number(row, (counts) => counts.waiting.requests) },
    { title: "Actions", cell: (row) => (row.read_only
      ? twoLines("read-only", row.source)
      : el("span", { class: "buttons" },
        changeButton("Test", () => test(row.name), "quiet small"),
        changeButton(row.enabled ? "Disable" : "Enable", () => enable(row), "quiet small"),
        changeButton("Remove", () => remove(row), "danger small"))) },
  ], list, "No webhooks. Create one, or define rules in the configuration file.");
}

/** What a test has shown, in one text. */
export function testText(answer) {
  if (answer.requests.length === 0) return `no request for the sample event: ${answer.text ?? answer.outcome}`;
  return answer.requests.map(({ status, took_ms: took, reason, answer: body }) => {
    const result = status === null ? "no answer" : `status ${status}`;
    return `${result}, ${count(took)} ms${reason === null ? "" : `: ${reason}`}${body === "" ? "" : `\n${body}`}`;
  }).join("\n");
}
