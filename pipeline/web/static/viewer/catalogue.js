/** The catalogue beside the picture: one row for each source. */

import { element, fill } from "../core/element.js";
import { count, number } from "../core/format.js";
import { windowed } from "../parts/windowed.js";

const ROW = 26;
const FIRST = ["x", "y", "flux", "mag", "fwhm", "peak"];

/**
 * A table of sources; rows can be sorted by any column.
 *
 * @param {Object} sources answer of /sources
 * @param {function} chosen is told the index of a source whose row was pressed
 */
export function catalogue(sources, chosen, signal) {
  const columns = order(sources.columns);
  let items = sources.rows.map((values, k) => ({ k, values }));
  let current = null;
  let sorted = { column: -1, down: false };
  const scroller = element("div.catalogue", { role: "table", tabindex: "0", "aria-label": "Catalogue", "aria-rowcount": items.length + 1, keydown: move });
  const rows = windowed({ key: (item) => item.k, create, height: () => ROW, scroller, signal });
  const head = element("div.titles", { role: "row" });
  const template = `48px repeat(${columns.length}, 98px)`;
  const details = element("dl.facts.source");

  function showHead() {
    fill(
      head,
      element("span", { role: "columnheader" }, "#"),
      columns.map(([column, index]) =>
        element(
          "span",
          { role: "columnheader", "aria-sort": sorted.column === index ? (sorted.down ? "descending" : "ascending") : "none" },
          element(
            "button",
            { type: "button", title: [column.description, column.unit && `[${column.unit}]`].filter(Boolean).join(" "), click: () => sort(index) },
            column.name,
            column.unit && element("small", {}, ` ${column.unit}`),
            sorted.column === index && element("small", { "aria-hidden": "true" }, sorted.down ? " ▾" : " ▴"),
          ),
        ),
      ),
    );
  }

  function sort(index) {
    sorted = { column: index, down: sorted.column === index ? !sorted.down : sources.columns[index].type !== "text" };
    const sense = sorted.down ? -1 : 1;
    const missing = (value) => value === null || value === undefined;
    items = [...items].sort((one, two) => {
      const [a, b] = [one.values[index], two.values[index]];
      if (missing(a) || missing(b)) return missing(a) - missing(b) || one.k - two.k;
      return (a < b ? -sense : a > b ? sense : 0) || one.k - two.k;
    });
    showHead();
    rows.show(items);
  }

  function create(item) {
    const node = element("div.row", { role: "row", "data-source": sources.row[item.k], click: () => chosen(item.k) });
    node.style.gridTemplateColumns = template;
    node.update = (known) => node.setAttribute("aria-selected", known.k === current);
    fill(
      node,
      element("span.soft", { role: "cell" }, count(sources.row[item.k] + 1)),
      columns.map(([column, index]) => {
        const value = item.values[index];
        return element("span", { role: "cell", class: column.type === "text" ? "text" : "" }, typeof value === "boolean" ? (value ? "yes" : "no") : number(value, 6));
      }),
    );
    node.update(item);
    return node;
  }

  function move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !items.length) return;
    event.preventDefault();
    const at = items.findIndex((item) => item.k === current);
    chosen(items[Math.min(items.length - 1, Math.max(0, at + step))].k);
  }

  function choose(k) {
    current = k;
    for (const row of rows.node.children) row.setAttribute("aria-selected", row.item.k === k);
    if (k === null) {
      fill(details);
      return;
    }
    rows.reveal(items.findIndex((item) => item.k === k));
    fill(
      details,
      sources.columns.map((column, index) => [
        element("dt", { title: column.description }, column.name),
        element("dd", {}, number(sources.rows[k][index], 8), column.unit && element("span.soft", {}, ` ${column.unit}`)),
      ]),
    );
  }

  head.style.gridTemplateColumns = template;
  showHead();
  scroller.append(head, rows.node);
  rows.show(items);
  return { node: scroller, details, choose, render: rows.render };
}

/** The columns with their places, those first that one looks for first. */
function order(columns) {
  const rank = (name) => {
    const at = FIRST.indexOf(name.toLowerCase());
    return at < 0 ? FIRST.length : at;
  };
  return columns.map((column, index) => [column, index]).sort(([a, i], [b, j]) => rank(a.name) - rank(b.name) || i - j);
}
