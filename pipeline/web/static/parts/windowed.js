/** A long list of which only the rows in sight exist. */

import { element } from "../core/element.js";

const MARGIN = 8;

/**
 * A list of rows of the same height.
 *
 * @param {Object} options
 * @param {function} options.key item -> what makes it the same
 * @param {function} options.create item -> node; `node.update(item)` is called when the item is another one
 * @param {function} options.height () -> height of a row [px]
 * @param {Element|null} options.scroller what scrolls; null: the page
 * @param {function} options.nearEnd is called when the last rows come into sight
 * @param {AbortSignal} options.signal
 * @returns {{node: Element, show: function, reveal: function, render: function}} `show(items)` takes another list,
 *     `reveal(index)` scrolls to a row
 */
export function windowed({ key, create, height, scroller = null, nearEnd = () => {}, signal }) {
  const node = element("div.window", { role: "rowgroup" });
  const rows = new Map();
  let items = [];
  let asked = 0;

  function render() {
    asked = 0;
    const tall = height();
    const total = `${items.length * tall}px`;
    if (node.style.height !== total) node.style.height = total;
    const [top, bottom] = sight();
    const first = Math.max(0, Math.floor(top / tall) - MARGIN);
    const last = Math.min(items.length, Math.ceil(bottom / tall) + MARGIN);
    const wanted = new Set();
    let before = null;
    for (let index = first; index < last; index += 1) {
      const item = items[index];
      const name = key(item);
      wanted.add(name);
      let row = rows.get(name);
      if (!row) {
        row = create(item);
        row.item = item;
        rows.set(name, row);
      } else if (row.item !== item) {
        row.update(item);
        row.item = item;
      }
      const place = `translateY(${index * tall}px)`;
      if (row.style.transform !== place) row.style.transform = place;
      row.setAttribute("aria-rowindex", index + 2);
      // The order in the document is that in the list, for the keyboard and for whoever listens to the page.
      const next = before ? before.nextSibling : node.firstChild;
      if (row !== next) node.insertBefore(row, next);
      before = row;
    }
    for (const [name, row] of rows) {
      if (wanted.has(name) || row.contains(document.activeElement)) continue;
      row.remove();
      rows.delete(name);
    }
    if (last >= items.length - 2 * MARGIN && items.length) nearEnd();
  }

  /** Top and bottom of what is in sight, from the top of the list [px]. */
  function sight() {
    if (scroller) return [scroller.scrollTop, scroller.scrollTop + scroller.clientHeight];
    const top = -node.getBoundingClientRect().top;
    return [top, top + innerHeight];
  }

  function soon() {
    asked ||= requestAnimationFrame(() => !signal.aborted && render());
  }

  (scroller ?? window).addEventListener("scroll", soon, { passive: true, signal });
  addEventListener("resize", soon, { signal });

  return {
    node,
    render: soon,
    show(list) {
      items = list;
      const present = new Set(list.map(key));
      for (const [name, row] of rows) {
        if (present.has(name)) continue;
        row.remove();
        rows.delete(name);
      }
      soon();
    },
    reveal(index) {
      const tall = height();
      const [top, bottom] = sight();
      const at = index * tall;
      if (at >= top && at + tall <= bottom) return;
      (scroller ?? window).scrollBy(0, at - (top + bottom - tall) / 2);
      soon();
    },
    /** Keep what is in sight where it is when rows come or go above it. */
    shift(count) {
      if (count) (scroller ?? window).scrollBy(0, count * height());
    },
    /** How far the top of the list is above the top of what is in sight [px]. */
    scrolled: () => sight()[0],
  };
}
