/** Parts of the page that are fetched: what stands there meanwhile, when nothing comes, and when there is nothing. */

import { whyNoToken } from "./access.js";
import { get, isAbort } from "./api.js";
import { askToken } from "./dialogs.js";
import { element, fill } from "./element.js";

/** A sentence where nothing else is to be shown. */
export function empty(...text) {
  return element("p.empty", {}, ...text);
}

/** What went wrong, and a button to try again. */
export function failed(error, again) {
  const buttons = [element("button", { type: "button", click: again }, "Try again")];
  const isShut = error.status === 401;
  if (isShut) {
    const ask = async () => (await askToken(whyNoToken())) && again();
    buttons.unshift(element("button.primary", { type: "button", click: ask }, "Give a token"));
  }
  return element("div.no-answer", { role: "alert" }, element("p", {}, isShut ? whyNoToken() : error.message), element("div.buttons", {}, buttons));
}

/**
 * A function that fetches something and shows it; called again, it fetches anew.
 *
 * Calls that come while an answer is awaited become one more call. What is shown stays when a later
 * answer does not come.
 *
 * @param {Element} place where errors are shown
 * @param {function} address -> [path, query]
 * @param {function} show is called with each answer
 */
export function loader(place, address, show, signal) {
  let busy = false;
  let again = false;
  let shown = false;

  async function load() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      do {
        again = false;
        const [path, query] = address();
        const answer = await get(path, { query, signal });
        if (signal.aborted) return;
        if (!shown) fill(place);
        shown = true;
        show(answer);
      } while (again);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      if (error.status === undefined) throw error; // a mistake of ours
      if (shown && error.status !== 401 && error.status !== 404) return;
      shown = false;
      fill(place, failed(error, load));
    } finally {
      busy = false;
    }
  }
  return load;
}

/** A function that calls another one at once, and then at most once in `milliseconds`; the last call is never lost. */
export function throttled(call, milliseconds, signal) {
  let timer = null;
  let last = -Infinity;
  const run = () => {
    timer = null;
    last = performance.now();
    if (!signal?.aborted) call();
  };
  return () => {
    if (timer !== null) return;
    const wait = last + milliseconds - performance.now();
    if (wait <= 0) run();
    else timer = setTimeout(run, wait);
  };
}
