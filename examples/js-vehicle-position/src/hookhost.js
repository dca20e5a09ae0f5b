// What a module in JavaScript needs beside the language: the exports of the contract, UTF-8 (QuickJS has no
// TextDecoder), topic patterns and requests. Copy it into your module; nothing in it is about one module.
//
// Works in QuickJS, StarlingMonkey and Node.

/** Thrown while a module is made: its settings are refused. Each problem is { key, text }, as in `hook.wit`. */
export class Refused extends Error {
  constructor(problems) {
    super(problems.map(({ key, text }) => (key ? `${key}: ${text}` : text)).join("; "));
    this.problems = problems;
  }
}

/**
 * The interface `handler` of the contract for a function that makes a module: (config, host) => module.
 *
 * `config` is `[config]` of the module's .toml. `host` is what the contract calls host-info, and with it whatever is
 * given here as `imports`: { kv, log }.
 *
 * The module has `interests`, a list of { hook, filters }, and for each hook a method of its name, such as
 * "message-publish": (detail, event) => one request, a list of requests, or nothing. If it throws, its event fails with
 * the error's text and is set aside by the host; the other events of the batch are not affected.
 */
export function exported(make, imports = {}) {
  let module;
  return {
    configure(host, config) {
      try {
        module = make(JSON.parse(config), { ...host, ...imports });
      } catch (error) {
        // A list of problems is what the contract knows as a refusal.
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

/** The text that UTF-8 bytes stand for; throws if they are something else. */
export function text(bytes) {
  let binary = "";
  // Engines bound the number of arguments.
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192));
  }
  // Each byte is a character now. `escape` and `decodeURIComponent` are native, which in an interpreter is five times as
  // fast as a loop over the bytes.
  return /^[\x00-\x7f]*$/.test(binary) ? binary : decodeURIComponent(escape(binary));
}

/** The bytes of a text in UTF-8, for `kv` and for bodies of bytes. */
export function bytes(text) {
  const binary = unescape(encodeURIComponent(text));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The payload of a message, read as JSON; throws if it is none, or nested too deeply. */
export function json(message) {
  const json = text(message.payload);
  const opened = json.split("[").length + json.split("{").length;
  if (opened > DEEPEST && isDeep(message.payload)) throw new SyntaxError(`nested more than ${DEEPEST} levels deep`);
  return JSON.parse(json);
}

// QuickJS would go on until the stack of the component is exhausted, at some 2,500 levels: a trap, and no error.
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

/** Milliseconds since 1970 as ISO 8601. StarlingMonkey has a BigInt for them, QuickJS a number. */
export function time(milliseconds) {
  return new Date(Number(milliseconds)).toISOString();
}

/** A topic filter whose wildcards may have names: `fleet/{vehicle}/{*rest}` is the filter `fleet/+/#`. */
export class Pattern {
  constructor(pattern) {
    this.levels = pattern.split("/").map((level) => {
      const [, rest, name] = /^\{(\*?)(.+)\}$/.exec(level) ?? [];
      return name === undefined ? { level } : { level: rest ? "#" : "+", name };
    });
    this.filter = this.levels.map(({ level }) => level).join("/");
    this.names = this.levels.flatMap(({ name }) => name ?? []);
  }

  /** The values of the names in a topic that matches the filter, as an object. */
  match(topic) {
    const parts = topic.split("/");
    const named = this.levels.flatMap(({ level, name }, at) =>
      name === undefined ? [] : [[name, level === "#" ? parts.slice(at).join("/") : (parts[at] ?? "")]],
    );
    return Object.fromEntries(named);
  }
}

/**
 * A POST of a value as JSON. What else a request has can be set: `method`, `headers`, `orderingKey`, `destination`,
 * `options` and, in place of the value, `body`.
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
