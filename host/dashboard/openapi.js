// Shows the OpenAPI document of the host: the operations by group, with parameters, bodies and answers.

import { badge, el, table } from "./dom.js";

/** The last part of a reference: the name of a schema. */
const nameOf = (reference) => reference.split("/").pop();

/** A link to a schema, or a schema in words. */
function type(schema) {
  if (schema === undefined || schema === true) return "any value";
  if (schema.$ref) return el("a", { href: `#schema-${nameOf(schema.$ref)}` }, nameOf(schema.$ref));
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.flatMap((choice, number) => [number > 0 ? " or " : "", type(choice)]);
  if (schema.allOf) return schema.allOf.flatMap((part, number) => [number > 0 ? " and " : "", type(part)]);
  if (schema.prefixItems) return ["[", schema.prefixItems.flatMap((item, number) => [number > 0 ? ", " : "", type(item)]), "]"];
  const kinds = [schema.type ?? "any value"].flat();
  const text = kinds.join(" or ");
  if (kinds.includes("array")) return [`${text} of `, type(schema.items)];
  if (kinds.includes("object") && schema.additionalProperties) return [`${text} of `, type(schema.additionalProperties)];
  const bounds = [["minimum", "≥"], ["maximum", "≤"]].filter(([key]) => schema[key] !== undefined && schema[key] !== 0);
  const range = bounds.map(([key, sign]) => `${sign} ${schema[key]}`);
  const constant = schema.enum ? `: ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}` : "";
  return [text, range.length > 0 ? `, ${range.join(", ")}` : "", constant];
}

/** The properties of a schema and of its parts. */
function properties(schema) {
  const required = new Set(schema.required ?? []);
  const own = Object.entries(schema.properties ?? {});
  const rows = own.map(([name, value]) => ({ name, schema: value, required: required.has(name) }));
  return [...rows, ...(schema.allOf ?? []).flatMap(properties)];
}

function fields(caption, rows) {
  return table(caption, [
    { title: "Name", cell: (row) => el("code", {}, row.name) },
    { title: "Type", cell: (row) => el("span", {}, type(row.schema)) },
    { title: "", cell: (row) => (row.required ? "required" : "") },
    { title: "Content", text: true, cell: (row) => row.description ?? row.schema.description ?? "" },
  ], rows, "Nothing.");
}

/** Media types with the schemas of their content. */
function contents(content = {}) {
  return Object.entries(content).map(([media, { schema }]) => el("span", {}, type(schema), el("span", { class: "faint" }, ` ${media}`)));
}

function operation(path, method, described) {
  const { summary, description, parameters = [], requestBody, responses } = described;
  const rows = parameters.map(({ name, in: place, schema, required, description: text }) => (
    { name, schema, required, description: `${text ?? ""} (${place})` }));
  const title = el("summary", {}, badge(method.toUpperCase(), method === "get" ? "good" : "warn"), " ", el("code", {}, path), ` ${summary ?? ""}`);
  return el("details", { class: "panel", id: described.operationId }, title,
    description && description !== summary ? el("p", {}, description) : null,
    rows.length > 0 ? fields(`Parameters of ${method.toUpperCase()} ${path}`, rows) : null,
    requestBody ? el("p", {}, "Body: ", contents(requestBody.content), requestBody.description ? ` – ${requestBody.description}` : "") : null,
    table(`Answers of ${method.toUpperCase()} ${path}`, [
      { title: "Status", cell: ([status]) => status },
      { title: "Body", cell: ([, answer]) => el("span", {}, contents(answer.content)) },
      { title: "When", text: true, cell: ([status, answer]) => answer.description || (status === "200" ? "It is done" : "") },
    ], Object.entries(responses), "None."));
}

function schemas(all) {
  return Object.entries(all).map(([name, schema]) => el("section", { class: "panel", id: `schema-${name}` },
    el("h3", {}, name),
    el("p", {}, schema.description ?? ""),
    schema.oneOf ? el("p", {}, "One of: ", type(schema)) : null,
    schema.oneOf ? schema.oneOf.map((choice) => (choice.$ref ? null : fields(`${name}: ${choice.description ?? ""}`, properties(choice)))) : fields(`Fields of ${name}`, properties(schema))));
}

async function show() {
  const place = document.getElementById("operations");
  let document_;
  try {
    document_ = await (await fetch("/openapi.json")).json();
  } catch {
    place.replaceChildren(el("p", { class: "problem" }, "The host does not answer."));
    return;
  }
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, described] of Object.entries(item)) {
      const [group] = described.tags;
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(operation(path, method, described));
    }
  }
  const names = [...groups.keys()].sort();
  document.getElementById("groups").append(...names.map((name) => el("a", { href: `#group-${name}` }, name)), el("a", { href: "#schemas" }, "schemas"));
  place.replaceChildren(
    ...names.map((name) => el("section", { id: `group-${name}` }, el("h3", {}, name), groups.get(name))),
    el("h2", { id: "schemas" }, "Schemas"), ...schemas(document_.components.schemas));
  // The address may name a part that did not exist yet.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

show();
