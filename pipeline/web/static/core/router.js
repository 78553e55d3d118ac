/** Addresses of the page: #/jobs?state=failed. Each view lives until the next one comes. */

/** Path and query of an address. */
function parse(hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** An address: link("jobs", 12), link("jobs", {state: "failed"}). */
export function link(...parts) {
  const query = typeof parts.at(-1) === "object" ? parts.pop() : {};
  const known = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = new URLSearchParams(known).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Go somewhere. */
export function go(...parts) {
  location.hash = link(...parts);
}

/** Change the address without opening the view anew, so that reloading and sharing keep what one sees. */
export function note(...parts) {
  history.replaceState(history.state, "", link(...parts));
}

/**
 * Show the view of the current address, and that of each later one.
 *
 * @param {Element} place where views are put
 * @param {Object} views view by first part of the path; a view is called with {parts, query, signal} and returns
 *     {title, node}
 * @param {function} shown is told (name, title) of each view
 */
export function startRouter(place, views, shown) {
  const positions = new Map(); // how far a view was scrolled when it was left
  let current = null;
  let left = null;

  function show() {
    current?.abort();
    current = new AbortController();
    const { parts, query } = parse(location.hash);
    const name = parts[0] in views ? parts[0] : "now";
    const view = views[name]({ parts: parts.slice(1), query, signal: current.signal });
    place.replaceChildren(view.node);
    place.dataset.view = name;
    shown(name, view.title);
  }

  addEventListener("hashchange", (event) => {
    const from = new URL(event.oldURL).hash;
    positions.set(from, scrollY);
    const isBack = location.hash === left;
    left = from;
    show();
    restore(isBack ? (positions.get(location.hash) ?? 0) : 0, current.signal);
  });
  show();
}

/** Scroll to where one was, as soon as the view is long enough. */
function restore(position, signal) {
  scrollTo(0, position);
  if (!position) return;
  const until = performance.now() + 1500;
  const attempt = () => {
    if (signal.aborted || performance.now() > until || Math.abs(scrollY - position) < 2) return;
    scrollTo(0, position);
    requestAnimationFrame(attempt);
  };
  requestAnimationFrame(attempt);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
