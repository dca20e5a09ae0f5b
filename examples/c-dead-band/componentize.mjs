// Turns a core module into a component: componentize.mjs WIT CORE.wasm COMPONENT.wasm
import { readFile, writeFile } from "node:fs/promises";
import { componentEmbed, componentNew } from "@bytecodealliance/jco-transpile/wasm-tools";

const [wit, core, component] = process.argv.slice(2);
const embedded = await componentEmbed({
  binary: await readFile(core),
  witSource: await readFile(wit, "utf8"),
  world: "hook-module",
  stringEncoding: "utf8",
});
await writeFile(component, await componentNew(embedded));
