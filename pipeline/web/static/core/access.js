/** The token of whoever looks at the page. It never leaves this device but in the header of a request. */

import { recall, remember } from "./storage.js";

const KEY = "etendue.token";
const listeners = new Set();
let refused = "";

/** The token, or null. */
export function token() {
  return recall(KEY, false) ?? recall(KEY, true);
}

/** Remember a token, in this window or on this device. */
export function setToken(text, { keep = false } = {}) {
  if (text) refused = "";
  remember(KEY, keep ? "" : text, false);
  remember(KEY, keep ? text : "", true);
  for (const listener of listeners) listener(Boolean(text));
}

/** Forget the token; `why` is what was said when it was refused. */
export function forgetToken(why = "") {
  if (!token()) return;
  refused = why;
  setToken("");
}

/** Why there is nothing to be seen without a token, for people. */
export function whyNoToken() {
  return refused || "This page is shown to those who have a token.";
}

/** Be told when the token changes. */
export function onToken(listener, signal) {
  listeners.add(listener);
  signal?.addEventListener("abort", () => listeners.delete(listener));
}
