// The admin API, as a browser uses it: with the cookie of a session, and with its second secret for changes.

/** An answer other than success. */
export class Refused extends Error {
  constructor(status, text, problems = []) {
    super(text);
    this.status = status;
    /** Mistakes in settings: `{field, text}`. */
    this.problems = problems;
  }
}

let csrf = null;
/** `admin` or `viewer`. */
let role = "admin";

function remember(session) {
  ({ csrf, role } = session);
}

async function send(method, path, headers = {}, body = undefined) {
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, { method, headers, body, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw new Refused(0, "The host does not answer.");
  }
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, content.error ?? `The host answered ${answer.status}.`, content.problems);
  return content;
}

/** Reads something. */
export const get = (path) => send("GET", path);

/** Changes something. `body` becomes JSON; with `etag`, nothing changes if somebody else has changed it meanwhile. */
export function change(method, path, { body, etag } = {}) {
  const headers = {};
  if (csrf !== null) headers["x-csrf-token"] = csrf;
  if (etag !== undefined) headers["if-match"] = `"${etag}"`;
  if (body !== undefined) headers["content-type"] = "application/json";
  return send(method, path, headers, body === undefined ? undefined : JSON.stringify(body));
}

/** Sends a file. */
export function upload(path, file) {
  const headers = { "content-type": "application/wasm" };
  if (csrf !== null) headers["x-csrf-token"] = csrf;
  return send("PUT", path, headers, file);
}

/** Whether requests are admitted; reads the session, if there is one. */
export async function isAdmitted() {
  try {
    remember(await send("GET", "/session"));
    return true;
  } catch (error) {
    if (error.status === 401) return false;
    throw error;
  }
}

/** Opens a session with the token of the host. */
export async function logIn(token) {
  remember(await send("POST", "/session", { authorization: `Bearer ${token}` }));
}

/** Ends the session. */
export async function logOut() {
  await change("DELETE", "/session");
  csrf = null;
}

/** Whether the person may change nothing. */
export const isViewer = () => role === "viewer";

/** Whether there is a session to end. */
export const hasSession = () => csrf !== null;

/** A part of a path or a query. */
export const encoded = encodeURIComponent;

/** The part after `?`, of the values that are not empty. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length === 0 ? "" : `?${given.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&")}`;
}
