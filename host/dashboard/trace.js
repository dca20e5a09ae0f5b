// What happened to one event: when it came, what modules did with it, every attempt, and what is left of it.

import { Refused, encoded, get } from "./api.js";
import { badge, count, el, list, table, time } from "./dom.js";

const KINDS = { delivered: "good", ignored: "good", waiting: "warn" };

/** Whether a text is the id of an event. */
export const isEventId = (text) => /^[0-9A-Fa-f]{32}$/.test(text);

/** What happened to an event, or why it is not known. */
export async function trace(id) {
  let found;
  try {
    found = await get(`/events/${encoded(id)}`);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    return el("p", { class: "panel" }, error.message);
  }
  return el("section", { class: "panel", "aria-label": `Event ${id}` },
    el("h3", {}, "What happened to the event ", badge(found.state, KINDS[found.state] ?? "bad")),
    list([["Id", found.event], ["Event", found.hook], ["Client", found.client], ["Topic", found.topic], ["Received", found.received && time(found.received)]]),
    table("What happened, oldest first", [
      { title: "Time", cell: (row) => time(row.at) },
      { title: "What", text: true, cell: (row) => row.what },
    ], steps(found), "Nothing is recorded."));
}

/** One row for each thing that happened. */
function steps({ outcomes, attempts, quarantine, dead_letters: letters }) {
  const why = (text) => (text ? `: ${text}` : "");
  return [
    ...outcomes.map((row) => ({ at: row.at, what: `${row.module}, generation ${row.generation}: ${row.outcome}, ${count(row.requests)} requests${why(row.text)}; after ${count(row.waited_ms)} ms in the queue, in a call of ${count(row.call_events)} events that took ${count(row.call_us)} µs` })),
    ...attempts.map((row) => ({ at: row.at, what: `request ${row.request} to ${row.url}, attempt ${row.attempt}: ${row.result}${row.status ? `, status ${row.status}` : ""}, ${count(row.took_ms)} ms${why(row.text)}${row.answer ? `; it answered: ${row.answer}` : ""}` })),
    ...letters.map((row) => ({ at: row.at, what: el("a", { href: `#/dead-letters?event=${encoded(row.event.id)}` }, `dead letter ${row.id}: ${row.reason}${why(row.text)}`) })),
    ...quarantine.map((row) => ({ at: row.at, what: el("a", { href: `#/quarantine?module=${encoded(row.module)}` }, `quarantine ${row.id}: ${row.fault} in ${row.module}${why(row.text)}`) })),
  ].sort((one, other) => one.at.localeCompare(other.at));
}
