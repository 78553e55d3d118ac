/** Elements of the page. Text is always set as text: nothing that comes from a header or a file name becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 *
 * @param {string} tag name, with classes behind dots: "div.panel.quiet"
 * @param {Object} properties attributes; functions are listeners (`click`), `true` sets an empty attribute, and
 *     null, undefined or false leave it out
 * @param {...(Node|string|number|Array|null)} children nodes and text
 */
export function element(tag, properties = {}, ...children) {
  return made(document.createElement.bind(document), tag, properties, children);
}

/** Make an element of a drawing. */
export function drawn(tag, properties = {}, ...children) {
  return made((name) => document.createElementNS(SVG, name), tag, properties, children);
}

function made(create, tag, properties, children) {
  const [name, ...classes] = tag.split(".");
  const node = create(name || "div");
  if (classes.length) node.classList.add(...classes);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(key, value);
    else if (key === "class") value && node.classList.add(...String(value).split(" ").filter(Boolean));
    else if (key === "value" && "value" in node) node.value = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(node, child);
    else if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/** Put other children into a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

/** Set text only where it has changed, so that a selection in it survives. */
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = String(text);
  return node;
}

/**
 * Make the children of a node those that `items` call for, keeping the nodes of items that were there before.
 *
 * @param {Element} node the parent
 * @param {Array} items what is to be shown, in order
 * @param {function} key what makes an item the same
 * @param {function} create item -> node; the node may have a method `update(item)`
 */
export function reconcile(node, items, key, create) {
  const known = new Map([...node.children].map((child) => [child.itemKey, child]));
  let place = node.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let child = known.get(name);
    if (child) {
      known.delete(name);
      child.update?.(item);
    } else {
      child = create(item);
      child.itemKey = name;
    }
    if (child === place) place = place.nextElementSibling;
    else node.insertBefore(child, place);
  }
  for (const child of known.values()) child.remove();
}
