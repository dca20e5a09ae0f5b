// The receivers: what waits for each, what failed, and why.

import { get, query } from "./api.js";
import { badge, button, bytes, count, duration, el, table, time } from "./dom.js";

export async function destinations(root) {
  const place = el("div");
  const refresh = async () => {
    const { destinations: all, dead_letters: letters } = await get("/destinations");
    place.replaceChildren(
      view(all),
      el("p", { class: "faint" }, `${count(letters.letters)} dead letters with ${bytes(letters.bytes)} are kept; the limits dropped ${count(letters.evicted)}.`));
  };
  root.append(el("p", { class: "buttons" }, button("Refresh", refresh, "quiet")), place);
  await refresh();
}

function view(all) {
  return table("Destinations that have got a request since the start", [
    { title: "Destination", text: true, cell: (row) => (row.name ? `${row.name}: ${row.url}` : row.url) },
    { title: "State", cell: (row) => badge(row.state, row.state === "sending" ? "good" : "warn") },
    { title: "Delivered", number: true, cell: (row) => count(row.delivered) },
    { title: "Waiting", number: true, cell: (row) => count(row.waiting.requests) },
    { title: "Oldest", number: true, cell: (row) => (row.oldest_seconds === null ? "–" : duration(row.oldest_seconds)) },
    { title: "Retried", number: true, cell: (row) => count(row.retried) },
    { title: "Failed", number: true, cell: (row) => (row.dead.total === 0 ? "0" : el("a", { href: `#/dead-letters${query({ destination: row.name ?? row.url })}` }, count(row.dead.total))) },
    { title: "Last delivery", cell: (row) => (row.last_success ? time(row.last_success) : "–") },
    { title: "Last error", text: true, cell: (row) => (row.last_error ? [row.last_error.text, " ", time(row.last_error.at)] : "–") },
  ], all, "No requests yet.");
}
