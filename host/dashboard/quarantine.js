// Events that modules could not handle: why, replay, drop.

import { change, encoded, get, query } from "./api.js";
import { button, changeButton, confirmed, el, list, several, table, tell, time, twoLines } from "./dom.js";

export async function quarantine(root) {
  const module = new URLSearchParams(location.hash.split("?")[1] ?? "").get("module");
  const place = el("div");
  const detail = el("div", { "aria-live": "polite" });
  const refresh = async () => {
    const { entries, more } = await get(`/quarantine${query({ module })}`);
    place.replaceChildren(view(entries, { show, replay, drop }), more ? el("p", { class: "faint" }, "Older events are not shown.") : "");
  };
  const show = async (id) => {
    const entry = await get(`/quarantine/${id}`);
    detail.replaceChildren(el("section", { class: "panel" },
      el("h3", {}, `Event ${entry.id}`),
      list([["Module", `${entry.module}, generation ${entry.generation}`], ["Fault", entry.fault], ["Client", entry.client], ["Topic", entry.topic]]),
      el("pre", { tabindex: 0 }, entry.text),
      el("pre", { tabindex: 0 }, JSON.stringify(entry.event, null, 2))));
    detail.scrollIntoView({ block: "nearest" });
  };
  const replay = async (id) => {
    await change("POST", `/quarantine/${id}/replay`);
    tell(`Event ${id} was passed to its module again.`);
    await refresh();
  };
  const drop = async (id) => {
    if (!(await confirmed(`Delete event ${id}? It cannot be replayed then.`, "Delete"))) return;
    await change("DELETE", `/quarantine/${id}`);
    await refresh();
  };
  const selection = module === null ? "?all=true" : `?module=${encoded(module)}`;
  const replayAll = async () => {
    const { replayed, left } = await change("POST", `/quarantine/replay${selection}`);
    const reasons = left.map(({ id, error }) => `${id}: ${error}`).join("\n");
    tell(`${several(replayed.length, "event")} passed to the modules again.${reasons && `\n${reasons}`}`, left.length === 0 ? "good" : "bad");
    await refresh();
  };
  root.append(
    module === null ? "" : el("p", {}, `Only events of module ${module}. `, el("a", { href: "#/quarantine" }, "Show all")),
    el("p", { class: "buttons" }, changeButton("Replay all", replayAll), button("Refresh", refresh, "quiet")),
    place, detail);
  await refresh();
}

function view(entries, { show, replay, drop }) {
  return table("Events that a module failed to handle, newest first", [
    { title: "Number", number: true, cell: (entry) => entry.id },
    { title: "Time", cell: (entry) => time(entry.at) },
    { title: "Event and module", text: true, cell: (entry) => twoLines(entry.hook, entry.module) },
    { title: "Client", text: true, cell: (entry) => entry.client ?? "–" },
    { title: "Topic", text: true, cell: (entry) => entry.topic ?? "–" },
    { title: "Why", text: true, cell: (entry) => `${entry.fault}: ${entry.text.split("\n")[0].slice(0, 200)}` },
    { title: "Actions", cell: (entry) => el("span", { class: "buttons" },
      button("Show", () => show(entry.id), "quiet small"),
      changeButton("Replay", () => replay(entry.id), "small"),
      changeButton("Delete", () => drop(entry.id), "danger small")) },
  ], entries, "The quarantine is empty. Events that a module fails to handle are kept here.");
}
