// Requests that the host has given up: why, every attempt, send again, delete.

import { change, get, query } from "./api.js";
import { button, changeButton, confirmed, count, el, list, several, table, tell, time, twoLines } from "./dom.js";

/** Time without typing before a search begins, in milliseconds. */
const TYPING_PAUSE = 250;
const FIELDS = [
  ["destination", "Destination", "name or URL"],
  ["module", "Module", "webhook"],
  ["client", "Client id", ""],
  ["topic", "Topic filter", "devices/#"],
  ["event", "Event or event id", "message-publish"],
  ["status", "Status", "422"],
];

export async function deadLetters(root) {
  const given = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const inputs = FIELDS.map(([name, title, example]) => {
    const input = el("input", { id: `letters-${name}`, type: "search", placeholder: example, value: given.get(name) ?? "" });
    return { name, input, node: el("div", {}, el("label", { for: input.id }, title), input) };
  });
  const place = el("div", { "aria-live": "polite" });
  const detail = el("div", { "aria-live": "polite" });
  const selection = () => Object.fromEntries(inputs.map(({ name, input }) => [name, input.value.trim()]));
  const isAll = () => Object.values(selection()).every((value) => value === "");
  const refresh = async () => {
    try {
      const { letters, more } = await get(`/dead-letters${query(selection())}`);
      place.replaceChildren(view(letters, { show, resend, drop }), more ? el("p", { class: "faint" }, "Older letters are not shown.") : "");
    } catch (error) {
      if (error.status !== 400) throw error;
      place.replaceChildren(el("p", { class: "problem" }, error.message));
    }
  };
  const show = async (id) => {
    detail.replaceChildren(whole(await get(`/dead-letters/${id}`)));
    detail.scrollIntoView({ block: "nearest" });
  };
  const resend = async (id) => {
    await change("POST", `/dead-letters/${id}/resend`);
    tell(`Letter ${id} is sent again.`);
    await refresh();
  };
  const drop = async (id) => {
    if (!(await confirmed(`Delete dead letter ${id}? It cannot be sent again then.`, "Delete"))) return;
    await change("DELETE", `/dead-letters/${id}`);
    await refresh();
  };
  const dropAll = async () => {
    if (!(await confirmed("Delete all these letters? They cannot be sent again then.", "Delete all"))) return;
    const { dropped, left = [] } = await change("DELETE", `/dead-letters${query(isAll() ? { all: "true" } : selection())}`);
    tell(`${several(dropped.length, "letter")} deleted.${left.map(({ id, error }) => `\n${id}: ${error}`).join("")}`, left.length === 0 ? "good" : "bad");
    await refresh();
  };
  const resendAll = async () => {
    if (!(await confirmed("Send all these letters again?", "Send again"))) return;
    const answer = await change("POST", `/dead-letters/resend${query(isAll() ? { all: "true" } : selection())}`);
    const left = answer.left ?? [];
    tell(`${several(answer.resent.length, "letter")} sent again.${left.map(({ id, error }) => `\n${id}: ${error}`).join("")}`, left.length === 0 ? "good" : "bad");
    await refresh();
  };
  let pause = null;
  for (const { input } of inputs) {
    input.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(refresh, TYPING_PAUSE);
    });
  }
  root.append(
    el("div", { class: "filters", role: "search" }, inputs.map(({ node }) => node)),
    el("p", { class: "buttons" }, changeButton("Send all again", resendAll), changeButton("Delete all", dropAll, "danger"), button("Refresh", refresh, "quiet")),
    place, detail);
  await refresh();
  return () => clearTimeout(pause);
}

function view(letters, { show, resend, drop }) {
  return table("Requests that the host has given up, newest first", [
    { title: "Number", number: true, cell: (row) => row.id },
    { title: "Time", cell: (row) => time(row.at) },
    { title: "Why", text: true, cell: (row) => `${row.reason}: ${row.text}` },
    { title: "Event and module", text: true, cell: (row) => twoLines(row.event.hook || "–", row.module) },
    { title: "Client", text: true, cell: (row) => row.event.client ?? "–" },
    { title: "Topic", text: true, cell: (row) => row.event.topic ?? "–" },
    { title: "To", text: true, cell: (row) => row.destination },
    { title: "Attempts", number: true, cell: (row) => row.attempt_count },
    { title: "Actions", cell: (row) => el("span", { class: "buttons" },
      button("Show", () => show(row.id), "quiet small"),
      changeButton("Send again", () => resend(row.id), "small"),
      changeButton("Delete", () => drop(row.id), "danger small")) },
  ], letters, "No dead letters. Requests that hookhost gives up are kept here.");
}

/** A letter with its request and attempts. */
function whole(letter) {
  const { attempts, headers, body, body_base64: encoded, answer, event, ...rest } = letter;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  return el("section", { class: "panel" },
    el("h3", {}, `Dead letter ${letter.id}`),
    list(Object.entries({ ...rest, event: `${event.hook} ${event.id}`, client: event.client, topic: event.topic }).filter(([, value]) => value !== null).map(([name, value]) => [name.replaceAll("_", " "), text(value)])),
    headers && el("pre", { tabindex: 0, "aria-label": "Headers" }, headers.map(([name, value]) => `${name}: ${value}`).join("\n")),
    encoded && el("pre", { tabindex: 0, "aria-label": "Body, as base64" }, encoded),
    body && el("pre", { tabindex: 0, "aria-label": "Body" }, text(body)),
    answer && el("pre", { tabindex: 0, "aria-label": "Answer" }, text(answer)),
    attempts && table("Failed attempts, oldest first", [
      { title: "Time", cell: (row) => time(row.at) },
      { title: "Took", number: true, cell: (row) => `${count(row.duration_ms)} ms` },
      { title: "Status", number: true, cell: (row) => row.status ?? "–" },
      { title: "Outcome", text: true, cell: (row) => row.outcome },
    ], attempts, "No attempts."));
}
