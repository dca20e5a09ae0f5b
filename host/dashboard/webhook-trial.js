// Which webhooks and rules would send what for an event. Nothing is sent.

import { Refused, change, encoded, get } from "./api.js";
import { badge, button, el } from "./dom.js";
import { EVENTS } from "./events.js";

export async function trial(root) {
  const kind = el("select", { id: "trial-kind" }, EVENTS.map(([name, title]) => el("option", { value: name }, title)));
  const topic = el("input", { id: "trial-topic", type: "text", value: "t/1" });
  const event = el("textarea", { id: "trial-event", rows: 12, spellcheck: "false", "aria-describedby": "trial-problem" });
  const problem = el("p", { id: "trial-problem", class: "problem", role: "alert" });
  const place = el("div", { "aria-live": "polite" });
  const sample = async () => {
    event.value = JSON.stringify(await get(`/event-samples?event=${encoded(kind.value)}&topic=${encoded(topic.value)}`), null, 2);
  };
  const run = async () => {
    problem.textContent = "";
    try {
      const answer = await change("POST", "/event-trials", { body: { event: JSON.parse(event.value) } });
      place.replaceChildren(el("div", {}, el("h3", {}, "Webhooks and rules that fit the event"), tried(answer.webhooks), answer.more && el("p", { class: "faint" }, "More webhooks fit; they are not tried.")));
    } catch (error) {
      if (error instanceof Refused && error.status === 401) throw error;
      place.replaceChildren();
      problem.textContent = error.message;
    }
  };
  kind.addEventListener("change", sample);
  topic.addEventListener("change", sample);
  root.append(
    el("p", {}, el("a", { href: "#/webhooks" }, "All webhooks")),
    el("p", {}, "Choose a sample event and change it, or paste one, as ", el("code", {}, "hookhost run --record"), " and the quarantine show it. Nothing is sent."),
    el("div", { class: "form panel" },
      el("div", { class: "filters" },
        el("div", {}, el("label", { for: kind.id }, "Event"), kind),
        el("div", {}, el("label", { for: topic.id }, "Topic"), topic)),
      el("div", { class: "field" }, el("label", { for: event.id }, "Event as JSON"), event, problem),
      el("p", { class: "buttons" }, button("Try", run))),
    place);
  await sample();
}

/** The outcomes of webhooks, with their requests. */
export function tried(list) {
  if (list.length === 0) return el("p", { class: "empty panel" }, "No webhook fits this event.");
  return el("div", {}, list.map((row) => el("section", { class: "panel" },
    el("h3", {}, `${row.name} `, badge(row.outcome, row.outcome === "deliver" ? "good" : "warn")),
    row.text && el("p", {}, row.text),
    row.requests.map((request) => [
      el("pre", { tabindex: 0, "aria-label": "Request" }, [
        `${request.method} ${request.url}`,
        ...request.headers.map(([name, value]) => `${name}: ${value}`),
        "",
        request.body ?? `${request.body_base64} (base64)`,
      ].join("\n")),
      request.refused && el("p", { class: "problem" }, request.refused),
    ]))));
}
