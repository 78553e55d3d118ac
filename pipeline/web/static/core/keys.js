/** Keys that work everywhere on the page. */

import { go } from "./router.js";

const VIEWS = { 1: "now", 2: "jobs", 3: "nights", 4: "chains", 5: "system" };

/** Whether somebody is writing, or a question is open: then keys belong to it. */
export function isWriting(event) {
  return (
    event.ctrlKey || event.metaKey || event.altKey ||
    event.target.closest?.("input, textarea, select, [contenteditable], dialog") !== null
  );
}

/** Listen to 1-5 for the views and / for the search. */
export function startKeys() {
  addEventListener("keydown", (event) => {
    if (isWriting(event)) return;
    if (event.key in VIEWS) go(VIEWS[event.key]);
    else if (event.key === "/") {
      event.preventDefault();
      if (location.hash.startsWith("#/jobs")) focusSearch();
      else {
        addEventListener("hashchange", focusSearch, { once: true }); // the view is there then
        go("jobs");
      }
    }
  });
}

function focusSearch() {
  document.querySelector("main input[type=search]")?.focus();
}
