// The form of one webhook. Settings without a field of their own are edited as JSON, so that none is lost.

import { Refused, change, encoded, get, isViewer } from "./api.js";
import { button, changeButton, el, tell } from "./dom.js";
import { EVENTS } from "./events.js";
import { testText } from "./webhooks.js";
import { tried } from "./webhook-trial.js";

const FORMATS = [
  ["emqx5", "EMQX 5"],
  ["template", "Template"],
  ["cloudevents", "CloudEvents"],
  ["emqx4", "EMQX 4"],
  ["nanomq", "NanoMQ"],
  ["rmqtt", "RMQTT"],
];
const METHODS = ["POST", "PUT", "PATCH", "GET", "DELETE"].map((method) => [method, method]);
/** The settings that have fields. */
const FIELDS = ["enabled", "url", "method", "events", "topics", "where", "format", "body", "headers", "bearer"];

/** Shows the form for a webhook; `name` is null for a new one. */
export async function editor(root, name) {
  const webhook = name === null ? null : await get(`/webhooks/${encoded(name)}`);
  const form = fields(webhook, name);
  const problems = el("div", { role: "alert" });
  const result = el("div", { "aria-live": "polite" });
  const attempt = async (action) => {
    form.clear();
    problems.replaceChildren();
    try {
      await action();
    } catch (error) {
      if (error instanceof Refused && error.status === 412) {
        problems.replaceChildren(el("p", { class: "problem" }, error.message), el("p", {}, el("a", { href: `#/webhooks?edit=${encoded(name)}&again=${Date.now()}` }, "Read it again")));
        return;
      }
      if (!(error instanceof Refused) || error.status === 401) throw error;
      const rest = (error.problems ?? []).filter((problem) => !form.mark(problem));
      const texts = error.problems?.length ? rest.map(({ field, text }) => (field === "" ? text : `${field}: ${text}`)) : [error.message];
      problems.replaceChildren(...texts.map((text) => el("p", { class: "problem" }, text)));
      root.querySelector("[aria-invalid=true]")?.focus();
    }
  };
  const save = () => attempt(async () => {
    const settings = form.settings();
    if (webhook === null) await change("POST", "/webhooks", { body: { name: form.name(), ...settings } });
    else await change("PUT", `/webhooks/${encoded(name)}`, { body: settings, etag: webhook.etag });
    tell(`Webhook ${form.name()} is saved and has effect.`);
    location.hash = "#/webhooks";
  });
  const test = () => attempt(async () => {
    result.replaceChildren(el("p", { class: "faint" }, "Sending a sample event…"));
    try {
      const answer = await change("POST", "/webhook-tests", { body: { name: form.name() || "new", ...form.settings() } });
      result.replaceChildren(el("p", { class: answer.ok ? "good" : "problem" }, `Test: ${testText(answer)}`));
    } catch (error) {
      result.replaceChildren();
      throw error;
    }
  });
  const tryIt = () => attempt(async () => {
    const settings = form.settings();
    const topic = settings.topics?.[0] ?? "";
    const event = await get(`/event-samples?event=${encoded(settings.events?.[0] ?? "message_publish")}&topic=${encoded(topic)}`);
    const answer = await change("POST", "/event-trials", { body: { event, webhook: { name: form.name() || "new", ...settings } } });
    const own = answer.webhooks.filter((row) => row.name === (form.name() || "new"));
    result.replaceChildren(el("h3", {}, "The request for a sample event"), tried(own));
  });
  if (!isViewer()) form.testPlace.append(button("Test", test, "quiet"));
  root.append(
    el("p", {}, el("a", { href: "#/webhooks" }, "All webhooks")),
    isViewer() ? el("p", {}, "You can read this webhook, but not change it.") : "",
    el("form", { class: "form panel", novalidate: true, onsubmit: (event) => { event.preventDefault(); save(); } },
      el("fieldset", { disabled: isViewer() }, form.nodes), result, problems,
      el("p", { class: "buttons" }, isViewer() ? null : el("button", { type: "submit" }, webhook === null ? "Create" : "Save"),
        changeButton("Show request", tryIt, "quiet"), el("a", { class: "button quiet", href: "#/webhooks" }, "Cancel"))));
}

function fields(webhook, known) {
  const settings = webhook?.settings ?? { format: "emqx5" };
  const text = (id, value, attributes = {}) => el("input", { id, name: id, type: "text", value: value ?? "", autocomplete: "off", spellcheck: "false", ...attributes });
  const lines = (id, value, rows, attributes = {}) => {
    const area = el("textarea", { id, name: id, rows, spellcheck: "false", ...attributes });
    area.value = value ?? "";
    return area;
  };
  const select = (id, choices, value) => el("select", { id, name: id }, choices.map(([key, title]) => el("option", { value: key, selected: key === value }, title)));
  const rest = Object.fromEntries(Object.entries(settings).filter(([key]) => !FIELDS.includes(key)));
  const inputs = {
    name: text("name", known, { required: true, maxlength: 64, disabled: known !== null, placeholder: "my_webhook" }),
    url: text("url", settings.url, { required: true, placeholder: "http://127.0.0.1:5000/", type: "url" }),
    method: select("method", METHODS, (settings.method ?? "POST").toUpperCase()),
    topics: lines("topics", (settings.topics ?? []).join("\n"), 3, { placeholder: "devices/#" }),
    where: text("where", settings.where, { placeholder: "payload.celsius > 40" }),
    format: select("format", FORMATS, settings.format ?? "emqx5"),
    body: lines("body", settings.body, 5, { placeholder: "{\"device\": \"${clientid}\", \"value\": ${payload}}" }),
    bearer: text("bearer", settings.bearer),
    rest: lines("rest", Object.keys(rest).length === 0 ? "" : JSON.stringify(rest, null, 2), 4, { placeholder: "{\"http_timeout\": \"2s\", \"rate_limit\": 10}" }),
  };
  const enabled = el("input", { id: "enabled", type: "checkbox", checked: settings.enabled !== false });
  const trigger = triggers(settings.events);
  const headers = headerList(settings.headers ?? {});
  const testPlace = el("span", {});
  const notes = new Map();
  const field = (key, title, input, hint, ...more) => {
    const note = el("p", { id: `${key}-problem`, class: "problem" });
    notes.set(key, { note, input });
    if (input.id) input.setAttribute("aria-describedby", `${key}-hint ${note.id}`);
    const label = input.id ? el("label", { for: input.id }, title) : el("span", { class: "label" }, title);
    return el("div", { class: "field" }, label, more.length ? el("div", { class: "row" }, input, more) : input, hint && el("p", { id: `${key}-hint`, class: "faint" }, hint), note);
  };
  return {
    testPlace,
    nodes: [
      field("name", "Webhook name", inputs.name, known === null ? "1 to 64 letters, digits, _ and -" : null),
      el("div", { class: "check" }, enabled, el("label", { for: "enabled" }, "Enabled")),
      field("events", "Trigger", trigger.node),
      field("topics", "Topic filters", inputs.topics, "One in each line, for messages and subscriptions. Empty: all topics"),
      field("where", "Condition", inputs.where, "A WHERE clause of EMQX 5's SQL. Empty: every event"),
      field("method", "Method", inputs.method),
      field("url", "URL", inputs.url, "Path and query may have placeholders such as ${clientid}", testPlace),
      field("headers", "Headers", headers.node),
      field("bearer", "Bearer token", inputs.bearer, "For the header Authorization. A saved token is shown as ******"),
      field("format", "Format", inputs.format),
      field("body", "Body template", inputs.body, "Empty: the whole event, in its format. For EMQX 5 and Template"),
      el("details", { open: Object.keys(rest).length > 0 }, el("summary", {}, "More settings"),
        field("rest", "More settings as JSON", inputs.rest, "Every setting of a webhook, such as retries, timeouts, batch, basic, sign, tls")),
    ],
    name: () => inputs.name.value.trim(),
    settings() {
      let more = {};
      if (inputs.rest.value.trim() !== "") {
        try {
          more = JSON.parse(inputs.rest.value);
        } catch (error) {
          throw Object.assign(new Refused(400, "mistakes"), { problems: [{ field: "rest", text: error.message }] });
        }
      }
      const given = {
        url: inputs.url.value.trim(),
        format: inputs.format.value,
        topics: inputs.topics.value.split("\n").map((line) => line.trim()).filter((line) => line !== ""),
        where: inputs.where.value.trim(),
        body: inputs.body.value,
        bearer: inputs.bearer.value,
        headers: headers.value(),
        method: inputs.method.value === "POST" && settings.method === undefined ? "" : inputs.method.value,
      };
      const filled = Object.entries(given).filter(([, value]) => (typeof value === "string" ? value !== "" : Object.keys(value).length > 0));
      const events = trigger.value();
      return { ...more, ...Object.fromEntries(filled), ...(events === null ? {} : { events }), ...(enabled.checked ? {} : { enabled: false }) };
    },
    clear() {
      for (const { note, input } of notes.values()) {
        note.textContent = "";
        input.removeAttribute("aria-invalid");
      }
    },
    /** Shows a problem at its field; false if it has none. */
    mark({ field: path, text: problem }) {
      const [key] = path.split(/[.[]/);
      const ofWebhook = /name/.test(problem) ? notes.get("name") : undefined;
      const place = path === "" ? ofWebhook : notes.get(key) ?? notes.get("rest");
      if (place === undefined) return false;
      if (place === notes.get("rest")) place.note.closest("details").open = true;
      const line = path === key || path === "" ? problem : `${path}: ${problem}`;
      place.note.textContent = [place.note.textContent, line].filter((line) => line !== "").join("\n");
      place.input.setAttribute("aria-invalid", "true");
      return true;
    },
  };
}

/** All events, all messages, or chosen ones, as in EMQX 5. */
function triggers(events) {
  const option = (value, title, checked) => [
    el("input", { type: "radio", id: `trigger-${value}`, name: "trigger", value, checked, onchange: show }),
    el("label", { for: `trigger-${value}` }, title),
  ];
  const chosen = new Set(events ?? []);
  const boxes = EVENTS.map(([name, title]) => {
    const input = el("input", { type: "checkbox", id: `event-${name}`, value: name, checked: chosen.has(name) });
    return { input, node: el("div", { class: "check" }, input, el("label", { for: input.id }, title)) };
  });
  const list = el("div", { class: "choices" }, boxes.map(({ node }) => node));
  const node = el("div", { role: "radiogroup", "aria-label": "Trigger", tabindex: -1 },
    el("div", { class: "check" }, option("all", "All messages and events", events === undefined)),
    el("div", { class: "check" }, option("chosen", "Chosen messages and events", events !== undefined)),
    list);
  const isAll = () => node.querySelector("#trigger-all").checked;
  function show() {
    list.hidden = isAll();
  }
  show();
  return { node, value: () => (isAll() ? null : boxes.filter(({ input }) => input.checked).map(({ input }) => input.value)) };
}

function headerList(headers) {
  const rows = el("div", {});
  const add = (name = "", value = "") => {
    const inputs = [["Header name", name], ["Header value", value]].map(([title, text]) => el("input", { type: "text", "aria-label": title, placeholder: title, value: text, autocomplete: "off", spellcheck: "false" }));
    const row = el("div", { class: "row header-row" }, inputs, button("Remove header", () => row.remove(), "quiet small"));
    rows.append(row);
  };
  for (const [name, value] of Object.entries(headers)) add(name, value);
  const value = () => Object.fromEntries([...rows.children].map((row) => [...row.querySelectorAll("input")].map((input) => input.value)).filter(([name]) => name.trim() !== ""));
  return { node: el("div", { tabindex: -1 }, rows, button("Add header", () => add(), "quiet small")), value };
}
