// What the host does now: rates, backlog and errors, live.

import { get } from "./api.js";
import { badge, bytes, count, duration, el, milliseconds, several, table } from "./dom.js";
import { chart } from "./chart.js";
import { hosts } from "./hosts.js";

/** Values of a chart: five minutes, one every two seconds. */
const MAX_VALUES = 150;

const events = (state) => Object.values(state.events).reduce((all, number) => all + number, 0);
const dead = (state) => state.delivery.dead.total;
const dropped = (state) => state.delivery.dropped.total;
const lost = (state) => state.modules.reduce((all, { queue }) => all + (queue ? queue.dropped_full + queue.dropped_oversized : 0), 0);

/** What the cards show: a rate of a counter per second, a value, or what is between two states. */
const CARDS = [
  { title: "Events per second", rate: events, note: (state) => `${count(events(state))} since the start` },
  { title: "Webhooks per second", rate: (state) => state.delivery.delivered, note: (state) => `${count(state.delivery.delivered)} delivered` },
  { title: "Answer time", between: answerTime, shown: (value) => milliseconds(value), note: () => "average of the attempts" },
  { title: "Waiting for delivery", value: (state) => state.delivery.waiting.requests, note: (state) => bytes(state.delivery.waiting.bytes) },
  { title: "Waiting for modules", value: (state) => state.modules.reduce((all, { queue }) => all + (queue?.events ?? 0), 0), note: () => "events" },
  { title: "Failed attempts per second", rate: (state) => state.delivery.retried + dead(state), note: (state) => `${count(state.delivery.retried)} retried` },
  { title: "Webhooks that failed", value: dead, note: (state) => reasons(state.delivery.dead), isBad: (value) => value > 0 },
  { title: "Dropped", value: (state) => dropped(state) + lost(state), note: (state) => `${several(lost(state), "event")}, ${several(dropped(state), "request")}`, isBad: (value) => value > 0 },
  { title: "Connected clients", value: (state) => state.broker?.connected ?? 0, note: (state) => several(state.broker?.sessions ?? 0, "session") },
];

/** Average time of the attempts between two states, in microseconds; null without an attempt. */
function answerTime(before, state) {
  const attempts = state.attempts.count - before.attempts.count;
  return attempts > 0 ? (state.attempts.took_us - before.attempts.took_us) / attempts : null;
}

function reasons(numbers) {
  const given = Object.entries(numbers).filter(([name, number]) => name !== "total" && number > 0);
  return given.length === 0 ? "none" : given.map(([name, number]) => `${name.replaceAll("_", " ")} ${count(number)}`).join(", ");
}

/** The value of a card now; null if it is not known yet. */
function current(card, before, state) {
  if (card.value) return card.value(state);
  const seconds = before ? (Date.parse(state.at) - Date.parse(before.at)) / 1000 : 0;
  if (!(seconds > 0)) return null;
  if (card.between) return card.between(before, state);
  // A host that was started again counts from 0.
  return Math.max(0, card.rate(state) - card.rate(before)) / seconds;
}

const rounded = (number) => (number >= 100 || Number.isInteger(number) ? count(Math.round(number)) : number.toFixed(1));

export async function overview(root) {
  const cards = CARDS.map((card) => {
    const [big, small, picture] = [el("p", { class: "value" }), el("p", { class: "note" }), el("div")];
    return { ...card, big, small, picture, values: [], node: el("li", { class: "card" }, el("h3", {}, card.title), big, small, picture) };
  });
  const problems = el("div", { role: "status" });
  const [others, details] = [el("div"), el("div")];
  root.append(problems, el("ul", { class: "cards" }, cards.map((card) => card.node)), others, details);
  let before = null;
  const update = (state) => {
    for (const card of cards) {
      const value = current(card, before, state);
      const shown = card.shown ?? rounded;
      if (value === null) {
        card.big.textContent = "–";
      } else {
        card.values.push(value);
        if (card.values.length > MAX_VALUES) card.values.shift();
        card.big.textContent = shown(value);
        card.big.className = card.isBad?.(value) ? "value bad" : "value";
        card.picture.replaceChildren(chart(card.values, `${card.title}: ${shown(value)} now, at most ${shown(Math.max(...card.values))}`));
      }
      card.small.textContent = card.note(state);
    }
    problems.replaceChildren(...state.problems.map((problem) => el("p", { class: "problem" }, problem)));
    details.replaceChildren(modulesTable(state), eventsTable(state), about(state));
    before = state;
  };
  update(await get("/overview"));
  const stream = new EventSource("/api/v1/overview/stream");
  stream.onmessage = (event) => update(JSON.parse(event.data));
  const endHosts = hosts(others);
  return () => {
    stream.close();
    endHosts();
  };
}

export function stateBadge(state) {
  const kind = { running: "good", "rolled back": "warn", draining: "warn" }[state] ?? "bad";
  return badge(state, kind);
}

function modulesTable(state) {
  return el("section", {}, el("h3", {}, "Modules"), table("What the modules did with their events", [
    { title: "Module", cell: (row) => row.name },
    { title: "State", cell: (row) => stateBadge(row.state) },
    { title: "Waiting", number: true, cell: (row) => count(row.queue?.events ?? 0) },
    { title: "Answered", number: true, cell: (row) => count(row.events.answered) },
    { title: "Ignored", number: true, cell: (row) => count(row.events.ignored) },
    { title: "Failed", number: true, cell: (row) => count(row.events.failed + row.events.trapped + row.events.timed_out) },
    { title: "Quarantine", number: true, cell: (row) => count(row.quarantine.events) },
  ], state.modules, "No modules."));
}

function eventsTable(state) {
  const rows = Object.entries(state.events).filter(([, number]) => number > 0).sort((one, other) => other[1] - one[1]);
  return el("section", {}, el("h3", {}, "Events"), table("Events that at least one module wanted, since the start", [
    { title: "Event", cell: ([name]) => name },
    { title: "Number", number: true, cell: ([, number]) => count(number) },
  ], rows, "No events yet: connect a client and publish something."));
}

function about(state) {
  const uptime = duration((Date.parse(state.at) - Date.parse(state.started)) / 1000);
  const broker = state.broker ? `${state.broker.engine} on ${state.broker.listen}` : "does not answer";
  return el("p", { class: "faint" }, `hookhost ${state.version}, running for ${uptime}. Broker: ${broker}.`);
}
