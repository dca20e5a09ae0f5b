// Helpers for modules in JavaScript: the exports of the contract, UTF-8 (QuickJS has no TextDecoder), topic patterns and
// requests. Copy this file to your module; it is the same for every module.
//
// It works in QuickJS, StarlingMonkey and Node.js.

/** Throw this from the function that creates the module if its settings are wrong. Each problem is { key, text }. */
export class Refused extends Error {
  constructor(problems) {
    super(problems.map(({ key, text }) => (key ? `${key}: ${text}` : text)).join("; "));
    this.problems = problems;
  }
}

/**
 * Returns the interface `handler` of the contract for a function that creates a module: (config, host) => module.
 *
 * `config` is `[config]` of the module's .toml. `host` is the host-info of the contract together with `imports`: { kv, log }.
 *
 * The module has `interests`, a list of { hook, filters }, and for each hook a method of its name, such as
 * "message-publish": (detail, event) => one request, a list of requests, or nothing. If the method throws, the event fails,
 * and the host quarantines it with the text of the error. The other events of the batch are not affected.
 */
export function exported(make, imports = {}) {
  let module;
  return {
    configure(host, config) {
      try {
        module = make(JSON.parse(config), { ...host, ...imports });
      } catch (error) {
        // The contract expects a list of problems.
        throw error instanceof Refused ? error.problems : [{ key: "", text: describe(error) }];
      }
      return module.interests;
    },
    handle(events) {
      return events.map((event) => {
        try {
          const { tag, val } = event.detail;
          const requests = [module[tag]?.(val, event) ?? []].flat();
          return requests.length > 0 ? { tag: "deliver", val: requests } : { tag: "ignore" };
        } catch (error) {
          return { tag: "fail", val: describe(error) };
        }
      });
    },
  };
}

function describe(error) {
  return error instanceof Error && error.stack ? `${error}\n${error.stack}` : String(error);
}

/** Decodes UTF-8 bytes; throws if they are not UTF-8. */
export function text(bytes) {
  let binary = "";
  // Engines limit the number of arguments.
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  }
  // Each byte is a character now. `escape` and `decodeURIComponent` are native, five times as fast in an interpreter as a
  // loop over the bytes.
  return /^[\x00-\x7f]*$/.test(binary) ? binary : decodeURIComponent(escape(binary));
}

/** Encodes a text as UTF-8, for `kv` and for binary bodies. */
export function bytes(text) {
  const binary = unescape(encodeURIComponent(text));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Parses the payload of a message as JSON; throws if it is not JSON, or nested too deeply. */
export function json(message) {
  const json = text(message.payload);
  const opened = json.split("[").length + json.split("{").length;
  if (opened > DEEPEST && isDeep(message.payload)) throw new SyntaxError(`nested more than ${DEEPEST} levels deep`);
  return JSON.parse(json);
}

// Without this limit QuickJS exhausts the stack of the component at about 2,500 levels, which is a trap and not an error.
const DEEPEST = 256;

function isDeep(json) {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < json.length; at++) {
    const byte = json[at];
    if (byte === 0x22 /* " */) quoted = !quoted;
    else if (byte === 0x5c /* \ */) at++;
    else if (quoted) continue;
    else if (byte === 0x5b /* [ */ || byte === 0x7b /* { */) {
      if (++depth > DEEPEST) return true;
    } else if (byte === 0x5d /* ] */ || byte === 0x7d /* } */) depth--;
  }
  return false;
}

/** Formats milliseconds since 1970 as ISO 8601. They are a BigInt in StarlingMonkey and a number in QuickJS. */
export function time(milliseconds) {
  return new Date(Number(milliseconds)).toISOString();
}

/** A topic filter with named wildcards: `fleet/{vehicle}/{*rest}` is the filter `fleet/+/#`. */
export class Pattern {
  constructor(pattern) {
    this.levels = pattern.split("/").map((level) => {
      const [, rest, name] = /^\{(\*?)(.+)\}$/.exec(level) ?? [];
      return name === undefined ? { level } : { level: rest ? "#" : "+", name };
    });
    this.filter = this.levels.map(({ level }) => level).join("/");
    this.names = this.levels.flatMap(({ name }) => name ?? []);
  }

  /** Returns the values of the names in a topic that matches the filter, as an object. */
  match(topic) {
    const parts = topic.split("/");
    const named = this.levels.flatMap(({ level, name }, at) =>
      name === undefined ? [] : [[name, level === "#" ? parts.slice(at).join("/") : (parts[at] ?? "")]],
    );
    return Object.fromEntries(named);
  }
}

/**
 * A POST request with a value as JSON. `more` sets other fields of the request: `method`, `headers`, `orderingKey`,
 * `destination`, `options`, or `body` instead of the value.
 */
export function post(url, value, more = {}) {
  return {
    method: "post",
    url,
    headers: [["content-type", "application/json"]],
    body: { tag: "text", val: value === undefined ? "" : JSON.stringify(value) },
    orderingKey: null,
    destination: null,
    options: [],
    ...more,
  };
}
