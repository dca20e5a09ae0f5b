// The receivers: what waits for each, what failed, and why.

import { get, query } from "./api.js";
import { badge, button, bytes, count, duration, el, milliseconds, several, table, time, twoLines } from "./dom.js";

export async function destinations(root) {
  const place = el("div");
  const refresh = async () => {
    const { destinations: all, dead_letters: letters } = await get("/destinations");
    place.replaceChildren(
      view(all),
      el("p", { class: "faint" }, letters.letters === 0
        ? "No dead letters are kept."
        : `${several(letters.letters, "dead letter")} kept, ${bytes(letters.bytes)}; the limits dropped ${count(letters.evicted)}.`));
  };
  root.append(el("p", { class: "buttons" }, button("Refresh", refresh, "quiet")), place);
  await refresh();
}

function view(all) {
  return table("Destinations that have got a request since the start. “At once” is the limit of requests at the same time, “Answer time” the average of all attempts.", [
    { title: "Destination", text: true, cell: (row) => (row.name ? twoLines(row.name, row.url) : row.url) },
    { title: "State", cell: (row) => badge(row.state, row.state === "sending" ? "good" : "warn") },
    { title: "Delivered", number: true, cell: (row) => count(row.delivered) },
    { title: "Waiting", number: true, cell: (row) => count(row.waiting.requests) },
    { title: "Oldest", number: true, cell: (row) => (row.oldest_seconds === null ? "–" : duration(row.oldest_seconds)) },
    { title: "Retried", number: true, cell: (row) => count(row.retried) },
    { title: "Failed", number: true, cell: (row) => (row.dead.total === 0 ? "0" : el("a", { href: `#/dead-letters${query({ destination: row.name ?? row.url })}` }, count(row.dead.total))) },
    { title: "At once", number: true, cell: (row) => count(row.concurrency) },
    { title: "Answer time", number: true, cell: ({ attempts }) => (attempts.count === 0 ? "–" : milliseconds(attempts.took_us / attempts.count)) },
    { title: "Last delivery", cell: (row) => (row.last_success ? time(row.last_success) : "–") },
    { title: "Last error", text: true, cell: (row) => (row.last_error ? twoLines(row.last_error.text, time(row.last_error.at)) : "–") },
  ], all, "No requests yet. A destination appears with its first request.");
}
