/** The frames that parts of a view stand in. */

import { element } from "../core/element.js";

/** A part of a view with a heading; `more` stands at the right of it. */
export function panel(title, ...content) {
  return panelWith(title, null, ...content);
}

/** The same, with something at the right of the heading. */
export function panelWith(title, more, ...content) {
  return element("section.panel", { "aria-label": title }, element("header", {}, element("h2", {}, title), more), ...content);
}

/** Names with their values. Values may be nodes; those that are null are left out. */
export function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element(
    "dl.facts",
    {},
    known.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}

/** A table. `columns` are [title, class]; `rows` are arrays of nodes or text. */
export function table(columns, rows, { caption } = {}) {
  const head = columns.map(([title, kind]) => element("th", { scope: "col", class: kind }, title));
  const body = rows.map((row) => element("tr", {}, row.map((cell, k) => element("td", { class: columns[k][1] }, cell))));
  return element(
    "div.scroll",
    { tabindex: "0", role: "region", "aria-label": caption ?? columns.map(([title]) => title).join(", ") },
    element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)),
  );
}

/** A small button for something less important. */
export function smallButton(text, click, properties = {}) {
  return element("button.small", { type: "button", click, ...properties }, text);
}

/** Tabs: [name, title, () => node]. What a tab shows is made when it is first opened. */
export function tabs(label, choices, { chosen, onChoice = () => {} } = {}) {
  const made = new Map();
  const place = element("div.tab-content", { role: "tabpanel", tabindex: "0" });
  const buttons = choices.map(([name, title]) =>
    element("button.tab", { type: "button", role: "tab", "data-tab": name, click: () => open(name) }, title),
  );
  const bar = element("div.tabs", { role: "tablist", "aria-label": label, keydown: move }, buttons);

  function open(name) {
    if (!made.has(name)) made.set(name, choices.find(([known]) => known === name)[2]());
    place.replaceChildren(made.get(name));
    for (const button of buttons) {
      const is = button.dataset.tab === name;
      button.setAttribute("aria-selected", is);
      button.tabIndex = is ? 0 : -1;
      if (is) place.setAttribute("aria-label", button.textContent);
    }
    onChoice(name);
  }

  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = buttons.indexOf(document.activeElement);
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    next.click();
  }

  open(choices.some(([name]) => name === chosen) ? chosen : choices[0][0]);
  return element("div.tabbed", {}, bar, place);
}
