// The last attempts to deliver a request, and all that failed lately.

import { get, query } from "./api.js";
import { badge, button, count, el, table, time } from "./dom.js";
import { isEventId, trace } from "./trace.js";

/** Time without typing before a search begins, in milliseconds. */
const TYPING_PAUSE = 250;
const FIELDS = [
  ["client", "Client id", ""],
  ["topic", "Topic filter", "devices/#"],
  ["event", "Event or event id", "message-publish"],
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
      place.replaceChildren(way, view(found), more ? el("p", { class: "faint" }, "Older attempts are not shown.") : "");
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
      el("div", {}, el("label", { for: "filter-failed" }, "Only failed"), failed),
      button("Refresh", refresh, "quiet")),
    place);
  await refresh();
  return () => clearTimeout(pause);
}

const KINDS = { delivered: "good", retried: "warn", dropped: "bad" };

function view(found) {
  return table("Attempts, newest first: the last 1,000, and the last 1,000 that failed", [
    { title: "Time", cell: (row) => time(row.at) },
    { title: "Result", cell: (row) => badge(row.result, KINDS[row.result] ?? "warn") },
    { title: "Status", number: true, cell: (row) => row.status ?? "–" },
    { title: "Event", text: true, cell: (row) => el("a", { href: `#/deliveries${query({ event: row.event })}`, title: `what happened to event ${row.event}` }, row.hook) },
    { title: "Client", text: true, cell: (row) => row.client || "–" },
    { title: "Topic", text: true, cell: (row) => row.topic || "–" },
    { title: "Module", cell: (row) => row.module },
    { title: "To", text: true, cell: (row) => (row.url.startsWith(row.destination) ? row.url : `${row.destination}: ${row.url}`) },
    { title: "Attempt", number: true, cell: (row) => row.attempt },
    { title: "Took", number: true, cell: (row) => `${count(row.took_ms)} ms` },
    { title: "Why", text: true, cell: (row) => row.text || "–" },
    { title: "Answer", text: true, cell: (row) => row.answer || "–" },
  ], found, "No attempts match.");
}
