// Starts the dashboard: logs in, shows the page that the address names, and the state of the host.

import * as api from "./api.js";
import { el, tell } from "./dom.js";
import { overview } from "./overview.js";
import { deliveries } from "./deliveries.js";
import { webhooks } from "./webhooks.js";
import { deadLetters } from "./dead-letters.js";
import { destinations } from "./destinations.js";
import { modules } from "./modules.js";
import { quarantine } from "./quarantine.js";
import { clients } from "./clients.js";
import { configuration } from "./configuration.js";

/** The pages by the address after `#/`. A page gets its place and returns a function that ends it, if it needs one. */
const PAGES = {
  overview: ["Overview", overview],
  deliveries: ["Deliveries", deliveries],
  webhooks: ["Webhooks", webhooks],
  "dead-letters": ["Dead letters", deadLetters],
  destinations: ["Destinations", destinations],
  modules: ["Modules", modules],
  quarantine: ["Quarantine", quarantine],
  clients: ["Clients", clients],
  configuration: ["Configuration", configuration],
};

let leave = null;

async function show() {
  const [name] = location.hash.replace(/^#\//, "").split("?");
  const key = Object.hasOwn(PAGES, name) ? name : "overview";
  const [title, page] = PAGES[key];
  leave?.();
  leave = null;
  document.title = `${title} – hookhost`;
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.hash === `#/${key}`) {
      link.setAttribute("aria-current", "page");
      // On a phone, the links of the pages are a row that scrolls. `scrollIntoView` would also move where Tab begins.
      const row = link.parentElement;
      row.scrollLeft = link.offsetLeft - row.offsetLeft - (row.clientWidth - link.offsetWidth) / 2;
    } else link.removeAttribute("aria-current");
  }
  const place = document.getElementById("page");
  place.replaceChildren(el("h2", {}, title), el("p", { class: "faint" }, "Loading…"));
  const root = el("div", {});
  try {
    leave = await page(root);
  } catch (error) {
    if (error.status === 401) return logIn();
    root.append(el("p", { class: "problem" }, error.message));
  }
  place.replaceChildren(el("h2", {}, title), root);
}

function logIn() {
  const dialog = document.getElementById("log-in");
  const problem = document.getElementById("log-in-problem");
  const token = document.getElementById("token");
  problem.textContent = "";
  if (!dialog.open) dialog.showModal();
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    try {
      await api.logIn(token.value);
      token.value = "";
      dialog.close();
      start();
    } catch (error) {
      problem.textContent = error.message;
      token.select();
    }
  };
}

/** The line at the top: whether the host is ready. */
async function watchState() {
  const place = document.getElementById("state");
  try {
    const answer = await fetch("/readyz", { cache: "no-store" });
    const { ready, problems } = await answer.json();
    place.className = `state ${ready ? "good" : "bad"}`;
    place.textContent = ready ? "ready" : "not ready";
    place.title = problems.join("\n");
  } catch {
    place.className = "state bad";
    place.textContent = "the host does not answer";
  }
}

async function start() {
  if (!(await api.isAdmitted())) return logIn();
  document.getElementById("log-out").hidden = !api.hasSession();
  document.getElementById("log-out").textContent = api.isViewer() ? "Log out (viewer)" : "Log out";
  await show();
}

document.getElementById("nav").append(...Object.entries(PAGES).map(([name, [title]]) => el("a", { href: `#/${name}` }, title)));
document.getElementById("log-out").addEventListener("click", async () => {
  await api.logOut();
  location.reload();
});
document.getElementById("log-in").addEventListener("cancel", (event) => event.preventDefault());
window.addEventListener("hashchange", show);
window.addEventListener("unhandledrejection", (event) => {
  if (event.reason?.status === 401) logIn();
  else tell(event.reason?.message ?? String(event.reason), "bad");
});
watchState();
setInterval(watchState, 5000);
start();
