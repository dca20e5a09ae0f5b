// The modules: what they do, and their problems.

import { change, encoded, get, isViewer, upload } from "./api.js";
import { badge, bytes, button, changeButton, confirmed, count, el, list, milliseconds, several, tell } from "./dom.js";
import { stateBadge } from "./overview.js";

/** Limit of the size of a module, as the host has it. */
const MAX_BYTES = 256 * 2 ** 20;
/** The beginning of a WebAssembly file. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

export async function modules(root) {
  const place = el("div");
  const refresh = async () => place.replaceChildren(...view(await get("/modules"), { enable, rollBack }));
  const enable = async (name, isEnabled) => {
    if (!isEnabled && !(await confirmed(`Disable module ${name}? It handles no further events.`, "Disable"))) return;
    await report(await change("POST", `/module-files/${encoded(name)}/${isEnabled ? "enable" : "disable"}`));
  };
  const rollBack = async (name) => {
    if (!(await confirmed(`Roll module ${name} back to its previous generation? Its files stay, and are loaded again when they change or at a reload.`, "Roll back"))) return;
    const { generation } = await change("POST", `/modules/${encoded(name)}/roll-back`);
    tell(`${name}: generation ${generation} is active again.`);
    await refresh();
  };
  const rescan = async () => report(await change("POST", "/modules/rescan"));
  const report = async (found) => {
    const problems = [found.problem, ...found.rejected.map(({ name, problem }) => `${name}: ${problem}`), ...(found.configuration?.problems ?? [])].filter(Boolean);
    const changed = [...found.loaded.map(({ name }) => name), ...found.removed.map((name) => `${name} removed`)];
    tell(problems.length === 0 ? `Reloaded: ${changed.join(", ") || "nothing has changed"}.` : problems.join("\n"), problems.length === 0 ? "good" : "bad");
    await refresh();
  };
  root.append(
    el("p", { class: "buttons" }, changeButton("Reload configuration and modules", rescan), button("Refresh", refresh, "quiet")),
    isViewer() ? "" : uploadForm(report),
    place);
  await refresh();
}

/** Chooses a file, checks what can be checked here, and sends it. */
function uploadForm(report) {
  const name = el("input", { id: "upload-name", type: "text", pattern: "[A-Za-z0-9_\\-]+", placeholder: "my_module" });
  const file = el("input", { id: "upload-file", type: "file", accept: ".wasm,application/wasm" });
  const problem = el("p", { class: "problem", role: "alert" });
  file.addEventListener("change", () => {
    if (name.value === "") name.value = (file.files[0]?.name ?? "").replace(/\.wasm$/, "").replace(/[^A-Za-z0-9_-]/g, "_");
  });
  const send = async () => {
    const [chosen] = file.files;
    problem.textContent = await mistake(chosen, name.value);
    if (problem.textContent !== "") return;
    try {
      await report(await upload(`/module-files/${encoded(name.value)}`, chosen));
    } catch (error) {
      if (error.status === 401) throw error;
      problem.textContent = error.message;
    }
  };
  return el("details", { class: "panel" },
    el("summary", {}, "Upload a module"),
    el("p", {}, "The host puts the file into its modules folder, in place of a module with the same name, and loads it."),
    el("div", { class: "filters" },
      el("div", {}, el("label", { for: file.id }, "WebAssembly component"), file),
      el("div", {}, el("label", { for: name.id }, "Name"), name),
      button("Upload", send)),
    problem);
}

/** What is wrong with a file and a name; empty if nothing is. */
async function mistake(file, name) {
  if (file === undefined) return "Choose a file.";
  if (!/^[A-Za-z0-9_-]+$/.test(name)) return "The name consists of letters, digits, _ and -.";
  if (file.size > MAX_BYTES) return `A module has at most ${bytes(MAX_BYTES)}; this file has ${bytes(file.size)}.`;
  const head = new Uint8Array(await file.slice(0, MAGIC.length).arrayBuffer());
  if (MAGIC.some((byte, place) => head[place] !== byte)) return "This is not a WebAssembly file.";
  return "";
}

function view({ modules: all, left_out: leftOut, disabled }, { enable, rollBack }) {
  return [
    leftOut.map((text) => el("p", { class: "problem" }, `Left out: ${text}`)),
    all.map((module) => {
      const { generation, queue, events, requests, quarantine, cost } = module;
      return el("section", { class: "panel", "aria-label": `Module ${module.name}` },
        el("h3", {}, module.name, " ", stateBadge(module.state)),
        module.problem && el("p", { class: "problem" }, module.problem),
        list([
          ["Generation", generation ? `${generation.number}, code: ${generation.origin}, ${several(generation.instances, "instance")}` : "none is active"],
          ["Asks for", generation?.hooks.join(", ")],
          ["May send to", generation?.egress.join(", ") || "nothing"],
          ["Queue", queue && `${several(queue.events, "event")}, ${bytes(queue.bytes)}; ${count(queue.accepted)} accepted, ${count(queue.dropped_full + queue.dropped_oversized)} dropped`],
          ["Events", `${count(events.answered)} answered, ${count(events.ignored)} ignored, ${count(events.failed)} failed, ${count(events.trapped)} trapped, ${count(events.timed_out)} timed out`],
          ["Requests", `${count(requests.accepted)} accepted, ${count(requests.refused)} refused`],
          ["Cost", `${cost.events === 0 ? "" : `${milliseconds(cost.took_us / cost.events)} for an event, `}${bytes(cost.memory)} of memory`],
          ["Quarantine", quarantine.events === 0 ? "empty" : el("a", { href: `#/quarantine?module=${encodeURIComponent(module.name)}` }, `${several(quarantine.events, "event")}, ${bytes(quarantine.bytes)}`)],
        ]),
        (!generation || generation.origin === "file") && el("p", { class: "buttons" },
          module.can_roll_back && changeButton("Roll back", () => rollBack(module.name), "quiet"),
          changeButton("Disable", () => enable(module.name, false), "danger")));
    }),
    disabled.map((name) => el("section", { class: "panel", "aria-label": `Module ${name}` },
      el("h3", {}, name, " ", badge("disabled", "warn")),
      el("p", { class: "buttons" }, changeButton("Enable", () => enable(name, true))))),
  ].flat(2);
}
