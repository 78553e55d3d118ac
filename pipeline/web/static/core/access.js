/** The token of whoever looks at the page. It never leaves this device but in the header of a request. */

import { recall, remember } from "./storage.js";

const KEY = "etendue.token";
const listeners = new Set();

/** The token, or null. */
export function token() {
  return recall(KEY, false) ?? recall(KEY, true);
}

/** Remember a token, in this window or on this device. */
export function setToken(text, { keep = false } = {}) {
  remember(KEY, keep ? "" : text, false);
  remember(KEY, keep ? text : "", true);
  for (const listener of listeners) listener(Boolean(text));
}

/** Forget a token that was refused. */
export function forgetToken() {
  if (token()) setToken("");
}

/** Be told when the token changes. */
export function onToken(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}
