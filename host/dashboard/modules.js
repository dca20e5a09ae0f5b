// The modules: what they do, and their problems.

import { change, get } from "./api.js";
import { bytes, button, changeButton, count, el, list, tell } from "./dom.js";
import { stateBadge } from "./overview.js";

export async function modules(root) {
  const place = el("div");
  const refresh = async () => place.replaceChildren(...view(await get("/modules")));
  const rescan = async () => {
    const found = await change("POST", "/modules/rescan");
    const problems = [found.problem, ...found.rejected.map(({ name, problem }) => `${name}: ${problem}`), ...(found.configuration?.problems ?? [])].filter(Boolean);
    tell(problems.length === 0 ? `Reloaded: ${found.loaded.map(({ name }) => name).join(", ") || "nothing has changed"}.` : problems.join("\n"), problems.length === 0 ? "good" : "bad");
    await refresh();
  };
  root.append(
    el("p", { class: "buttons" }, changeButton("Reload configuration and modules", rescan), button("Refresh", refresh, "quiet")),
    place);
  await refresh();
}

function view({ modules: all, left_out: leftOut }) {
  return [
    leftOut.map((text) => el("p", { class: "problem" }, `Left out: ${text}`)),
    all.map((module) => {
      const { generation, queue, events, requests, quarantine } = module;
      return el("section", { class: "panel", "aria-label": `Module ${module.name}` },
        el("h3", {}, module.name, " ", stateBadge(module.state)),
        module.problem && el("p", { class: "problem" }, module.problem),
        list([
          ["Generation", generation ? `${generation.number}, code ${generation.origin}, ${generation.instances} instances` : "none is active"],
          ["Asks for", generation?.hooks.join(", ")],
          ["May send to", generation?.egress.join(", ") || "nothing"],
          ["Queue", queue && `${count(queue.events)} events, ${bytes(queue.bytes)}; ${count(queue.accepted)} accepted, ${count(queue.dropped_full + queue.dropped_oversized)} dropped`],
          ["Events", `${count(events.answered)} answered, ${count(events.ignored)} ignored, ${count(events.failed)} failed, ${count(events.trapped)} trapped, ${count(events.timed_out)} timed out`],
          ["Requests", `${count(requests.accepted)} accepted, ${count(requests.refused)} refused`],
          ["Quarantine", quarantine.events === 0 ? "empty" : el("a", { href: `#/quarantine?module=${encodeURIComponent(module.name)}` }, `${count(quarantine.events)} events, ${bytes(quarantine.bytes)}`)],
        ]));
    }),
  ].flat(2);
}
