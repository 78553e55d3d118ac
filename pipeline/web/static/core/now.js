/** What happens now, shared by all views: asked once, then kept by what the daemon tells. */

import { get, isAbort } from "./api.js";
import { setServerTime } from "./format.js";
import { on } from "./live.js";
import { throttled } from "./loading.js";

const handlers = new Set();
const failures = new Set();
let known = null;

/** Call `handler(now)` with what is known, and whenever it changes; `failure(error)` while nothing is known. */
export function onNow(handler, signal, failure = () => {}) {
  handlers.add(handler);
  failures.add(failure);
  signal?.addEventListener("abort", () => {
    handlers.delete(handler);
    failures.delete(failure);
  });
  if (known) handler(known);
}

/** Ask anew. */
export async function refreshNow() {
  try {
    take(await get("/api/now"));
  } catch (error) {
    if (isAbort(error)) return;
    if (error.status === undefined) throw error;
    if (!known || error.status === 401) for (const failure of failures) failure(error);
  }
}

function take(answer) {
  known = { ...known, ...answer };
  setServerTime(known.time);
  for (const handler of handlers) handler(known);
}

/** Begin to know. */
export function startNow() {
  const ask = throttled(refreshNow, 2000);
  on("now", take);
  on("job", ask);
  on("changed", ask);
  refreshNow();
}
