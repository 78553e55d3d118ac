/** What the daemon tells by itself: server-sent events, read with fetch so that a token can be sent along. */

import { headers } from "./api.js";
import { onToken } from "./access.js";

const SILENCE = 45_000; // the daemon says something at least every 15 s
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8_000;

const handlers = new Map();
let state = "connecting";
let connection = null;
let wait = FIRST_WAIT;

/** Call `handler(data)` for events of a kind ("job", "now", "changed", "state"), until the signal aborts. */
export function on(kind, handler, signal) {
  if (!handlers.has(kind)) handlers.set(kind, new Set());
  handlers.get(kind).add(handler);
  signal?.addEventListener("abort", () => handlers.get(kind).delete(handler));
}

/** "live", "connecting", "lost", or "refused": a token is missing, or is not the right one. */
export function liveState() {
  return state;
}

/** Begin to listen, for ever. */
export function startListening() {
  onToken(() => reconnect());
  addEventListener("online", () => reconnect());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && state !== "live") reconnect();
  });
  listen();
}

/** Give up the connection, and try anew at once. */
export function reconnect() {
  wait = FIRST_WAIT;
  connection?.abort();
}

async function listen() {
  for (;;) {
    connection = new AbortController();
    let ended = "lost";
    try {
      await readEvents(connection);
    } catch (error) {
      if (error.status === 401 || error.status === 403) [ended, wait] = ["refused", LONGEST_WAIT];
    }
    tell("state", (state = ended));
    await pause(wait);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}

/** Wait, or until somebody asks for a new connection. */
function pause(milliseconds) {
  connection = new AbortController();
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    connection.signal.addEventListener("abort", resolve);
  });
}

async function readEvents(control) {
  let silence = setTimeout(() => control.abort(), SILENCE);
  try {
    const answer = await fetch("/api/events", { headers: headers(), cache: "no-store", signal: control.signal });
    if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
    tell("state", (state = "live"));
    wait = FIRST_WAIT;
    tell("changed", {}); // what happened before was not heard
    const parse = parser(tell);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => control.abort(), SILENCE);
      parse(value);
    }
  } finally {
    clearTimeout(silence);
  }
}

function tell(kind, data) {
  for (const handler of handlers.get(kind) ?? []) handler(data);
}

/**
 * A function that takes pieces of a stream of events and calls `tell(kind, data)` for each whole one.
 *
 * A comment is passed over; data that is no JSON is passed over, too.
 */
export function parser(tell) {
  let rest = "";
  let kind = "message";
  let data = [];
  return (piece) => {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length) tell(kind, decoded(data.join("\n")));
        [kind, data] = ["message", []];
        continue;
      }
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "event") kind = value;
      else if (field === "data") data.push(value);
    }
  };
}

function decoded(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
