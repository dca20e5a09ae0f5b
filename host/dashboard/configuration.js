// The settings that were given and where, and the filter of the log.

import { change, get, isViewer } from "./api.js";
import { changeButton, el, table, tell } from "./dom.js";

export async function configuration(root) {
  const [{ settings, left_out: leftOut }, { filter }] = await Promise.all([get("/configuration"), get("/log")]);
  const input = el("input", { id: "log-filter", value: filter, placeholder: "info", readonly: isViewer() });
  const setFilter = async () => {
    const log = await change("PUT", `/log?filter=${encodeURIComponent(input.value)}`);
    tell(`The log filter is now ${log.filter || "the default"}, until the host restarts.`);
  };
  const shown = ({ value }) => (value === null ? "(not shown: may be a secret)" : typeof value === "string" ? value : JSON.stringify(value));
  root.append(
    ...leftOut.map((text) => el("p", { class: "problem" }, `Left out: ${text}`)),
    table("Settings that were given; all others have their default. Settings that need a restart take effect then.", [
      { title: "Setting", text: true, cell: (row) => row.key },
      { title: "Value", text: true, cell: shown },
      { title: "From", text: true, cell: (row) => row.source },
    ], settings, "No settings were given: all have their default."),
    el("p", {}, "Programs can use the ", el("a", { href: "/openapi" }, "admin API"), "."),
    el("h3", {}, "Log"),
    el("p", { class: "faint" }, "A level such as debug, or levels of parts such as info,rmqtt=debug. Empty: the default."),
    el("div", { class: "filters" },
      el("div", {}, el("label", { for: "log-filter" }, "Log filter"), input),
      changeButton("Set", setFilter)));
}
