// The last attempts to deliver a request, and all that failed lately.

import { get, query } from "./api.js";
import { badge, button, count, el, table, time, twoLines } from "./dom.js";
import { isEventId, trace } from "./trace.js";

/** Time without typing before a search begins, in milliseconds. */
const TYPING_PAUSE = 250;
const FIELDS = [
  ["client", "Client id", ""],
  ["topic", "Topic filter", "devices/#"],
  ["event", "Event or event id", "message-publish"],
  ["module", "Module", "webhook"],
  ["webhook", "Webhook", "my_webhook"],
  ["status", "Status", "503"],
];

export async function deliveries(root) {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const inputs = FIELDS.map(([name, title, example]) => {
    const input = el("input", { id: `filter-${name}`, type: "search", placeholder: example, value: given.get(name) ?? "" });
    return { name, input, node: el("div", {}, el("label", { for: input.id }, title), input) };
  });
  const failed = el("input", { id: "filter-failed", type: "checkbox" });
  failed.checked = given.get("failed") === "true";
  const place = el("div", { "aria-live": "polite" });
  const values = () => ({ ...Object.fromEntries(inputs.map(({ name, input }) => [name, input.value.trim()])), failed: failed.checked ? "true" : "" });
  const refresh = async () => {
    try {
      const asked = values();
      const { deliveries: found, more } = await get(`/deliveries${query({ ...asked, limit: 200 })}`);
      const way = isEventId(asked.event) ? await trace(asked.event) : "";
      const isFiltered = Object.values(asked).some((value) => value !== "");
      place.replaceChildren(way, view(found, isFiltered ? "No attempts match." : "No attempts yet. An attempt is made when an event matches a webhook or a rule, or a module returns a request."), more ? el("p", { class: "faint" }, "Older attempts are not shown.") : "");
    } catch (error) {
      if (error.status !== 400) throw error;
      place.replaceChildren(el("p", { class: "problem" }, error.message));
    }
  };
  let pause = null;
  const changed = () => {
    clearTimeout(pause);
    pause = setTimeout(refresh, TYPING_PAUSE);
  };
  for (const { input } of inputs) input.addEventListener("input", changed);
  failed.addEventListener("change", refresh);
  root.append(
    el("div", { class: "filters", role: "search" }, inputs.map(({ node }) => node),
      el("div", { class: "row" }, failed, el("label", { for: "filter-failed" }, "Only failed")),
      button("Refresh", refresh, "quiet")),
    place);
  await refresh();
  return () => clearTimeout(pause);
}

const KINDS = { delivered: "good", retried: "warn", dropped: "bad" };

function view(found, empty) {
  return table("Attempts, newest first: the last 1,000, and the last 1,000 that failed", [
    { title: "Time", cell: (row) => time(row.at) },
    { title: "Result", cell: (row) => twoLines(badge(row.result, KINDS[row.result] ?? "warn"), row.attempt > 1 && `attempt ${row.attempt}`) },
    { title: "Status", number: true, cell: (row) => row.status ?? "–" },
    { title: "Took", number: true, cell: (row) => `${count(row.took_ms)} ms` },
    { title: "Event and module", text: true, cell: (row) => twoLines(el("a", { href: `#/deliveries${query({ event: row.event })}`, title: `what happened to event ${row.event}` }, row.hook), row.module) },
    { title: "Client", text: true, cell: (row) => row.client || "–" },
    { title: "Topic", text: true, cell: (row) => row.topic || "–" },
    { title: "To", text: true, cell: (row) => (row.url.startsWith(row.destination) ? row.url : twoLines(row.destination, row.url)) },
    { title: "Why", text: true, cell: (row) => twoLines(row.text || "–", row.answer && `answer: ${row.answer}`) },
  ], found, empty);
}
