// The MQTT clients: find one, see its session, disconnect it.

import { change, get, isViewer, query } from "./api.js";
import { badge, button, confirmed, count, el, table, tell, time } from "./dom.js";

/** Time without typing before a search begins, in milliseconds. */
const TYPING_PAUSE = 250;

export async function clients(root) {
  const place = el("div", { "aria-live": "polite" });
  const search = el("input", { id: "search", type: "search", placeholder: "id, user or address" });
  const refresh = async () => {
    const { clients: found, total } = await get(`/clients${query({ search: search.value, limit: 200 })}`);
    place.replaceChildren(
      view(found, kick, search.value !== ""),
      total > found.length ? el("p", { class: "faint" }, `${count(total - found.length)} more clients match; search for a part of the id.`) : "");
  };
  const kick = async (id) => {
    if (!(await confirmed(`Disconnect client ${id} and delete its session?`, "Disconnect"))) return;
    await change("DELETE", `/clients${query({ id })}`);
    tell(`Client ${id} was disconnected.`);
    await refresh();
  };
  let pause = null;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(refresh, TYPING_PAUSE);
  });
  root.append(el("div", { class: "filters" }, el("div", {}, el("label", { for: "search" }, "Search"), search), button("Refresh", refresh, "quiet")), place);
  await refresh();
  return () => clearTimeout(pause);
}

function view(found, kick, isSearch) {
  const protocol = (version) => ({ 3: "3.1", 4: "3.1.1", 5: "5.0" })[version] ?? "–";
  return table("Sessions of clients, by id", [
    { title: "Client", text: true, cell: (client) => client.id },
    { title: "State", cell: (client) => (client.connected ? badge("connected", "good") : badge("disconnected", "warn")) },
    { title: "User name", text: true, cell: (client) => client.username ?? "–" },
    { title: "Address", cell: (client) => client.address ?? "–" },
    { title: "MQTT", cell: (client) => protocol(client.protocol_version) },
    { title: "Since", cell: (client) => (client.connected_at ? time(client.connected_at) : "–") },
    { title: "Subscriptions", number: true, cell: (client) => count(client.subscriptions) },
    { title: "Waiting", number: true, cell: (client) => count(client.queued + client.unconfirmed) },
    isViewer() ? null : { title: "Actions", cell: (client) => button("Disconnect", () => kick(client.id), "danger small") },
  ], found, isSearch ? "No client matches." : "No clients. A client appears when it connects, and stays as long as its session.");
}
