// The hosts that share the outbox of this one: rates, backlog and health.

import { get } from "./api.js";
import { badge, count, el, table, time } from "./dom.js";

/** The time between two looks, in milliseconds. Hosts report every five seconds. */
const INTERVAL = 5000;

/** Shows the hosts in `place`, and nothing if there is one host only. Returns a function that ends it. */
export function hosts(place) {
  const refresh = async () => {
    try {
      const { hosts: all } = await get("/hosts");
      place.replaceChildren(all.length === 0 ? "" : view(all));
    } catch (error) {
      place.replaceChildren(el("section", {}, el("h3", {}, "Hosts"), el("p", { class: "problem" }, error.message)));
    }
  };
  refresh();
  const timer = setInterval(refresh, INTERVAL);
  return () => clearInterval(timer);
}

function readiness({ state }) {
  if (!state) return badge("unknown", "warn");
  if (state.problems.length === 0) return badge("ready", "good");
  return [badge("not ready", "bad"), " ", state.problems.join("; ")];
}

function view(all) {
  const reported = (cell) => ({ state }) => (state ? cell(state) : "–");
  return el("section", {}, el("h3", {}, "Hosts"), table("Hosts that share the outbox", [
    { title: "Host", text: true, cell: (host) => host.state?.name ?? host.id },
    { title: "State", text: true, cell: readiness },
    { title: "Version", cell: reported((state) => state.version || "–") },
    { title: "Admin API", cell: reported((state) => state.admin || "–") },
    { title: "Clients", number: true, cell: reported((state) => (state.connected === null ? "–" : count(state.connected))) },
    { title: "Events/s", number: true, cell: reported((state) => count(state.events_per_second)) },
    { title: "Webhooks/s", number: true, cell: reported((state) => count(state.webhooks_per_second)) },
    { title: "Waiting", number: true, cell: reported((state) => count(state.waiting.requests)) },
    { title: "Partitions", number: true, cell: (host) => count(host.partitions) },
    { title: "Reported", cell: reported((state) => time(state.at)) },
  ], all, ""));
}
