/** A chain drawn as a graph, from top to bottom. */

import { drawn } from "../core/element.js";
import { written } from "../parts/documents.js";

const [WIDTH, HEIGHT, APART, BETWEEN] = [224, 46, 26, 30];
const SMALL = { join: [16, 16], image: [84, 26], result: [84, 26], end: [84, 26] };
const SWEEPS = 6;

/**
 * Draw a chain.
 *
 * @param {Object} drawing nodes and edges, as the API gives them
 * @param {function} open is called with the identity of a step that was pressed
 * @param {Set} problems identities of steps that something is wrong with
 */
export function graph(drawing, open, { chosen = null, problems = new Set() } = {}) {
  const { placed, ways } = layout(drawing.nodes, drawing.edges);
  const right = Math.max(...[...placed.values()].map((spot) => spot.x + spot.width / 2)) + 8;
  const left = Math.min(...[...placed.values()].map((spot) => spot.x - spot.width / 2)) - 8;
  const bottom = Math.max(...[...placed.values()].map((spot) => spot.y + spot.height / 2)) + 8;
  const marker = drawn("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, drawn("path", { d: "M0 0.5L8 4L0 7.5z" }));
  const svg = drawn(
    "svg.graph",
    { viewBox: `${left} 0 ${right - left} ${bottom}`, width: right - left, height: bottom, role: "group", "aria-label": `The chain ${drawing.name}, drawn` },
    drawn("defs", {}, marker),
    drawing.edges.map((edge, k) => ways[k] && line(ways[k].map((id) => placed.get(id)), edge.label)),
    drawing.nodes.map((node) => box(node, placed.get(node.id), open, node.id === chosen, problems.has(node.id))),
  );
  return svg;
}

/** Mark another node of a drawing. */
export function choose(svg, id) {
  for (const node of svg.querySelectorAll("[data-node]")) node.classList.toggle("chosen", node.dataset.node === id);
}

/** Places of the nodes: rows by the longest way from the beginning, columns near those that come before and after. */
function layout(nodes, edges) {
  const after = new Map(nodes.map((node) => [node.id, []]));
  const before = new Map(nodes.map((node) => [node.id, []]));
  for (const { start, end } of edges) {
    after.get(start)?.push(end);
    before.get(end)?.push(start);
  }
  const row = new Map();
  const depth = (id) => {
    if (!row.has(id)) {
      row.set(id, 0);
      row.set(id, Math.max(-1, ...before.get(id).map(depth)) + 1);
    }
    return row.get(id);
  };
  for (const node of nodes) depth(node.id);
  const rows = [];
  for (const node of nodes) (rows[row.get(node.id)] ??= []).push(node.id);
  const size = new Map(nodes.map((node) => [node.id, SMALL[node.kind] ?? [WIDTH, HEIGHT]]));
  const ways = edges.map(({ start, end }, k) => (row.has(start) && row.has(end) ? way(start, end, k) : null));
  const x = new Map();

  /** An edge past other rows: it has a place of its own in each of them. */
  function way(start, end, k) {
    const between = [];
    for (let level = row.get(start) + 1; level < row.get(end); level += 1) {
      const id = `way ${k} ${level}`;
      between.push(id);
      rows[level].push(id);
      size.set(id, [12, 0]);
    }
    const all = [start, ...between, end];
    if (!between.length) return all;
    after.set(start, after.get(start).map((id) => (id === end ? all[1] : id)));
    before.set(end, before.get(end).map((id) => (id === start ? all.at(-2) : id)));
    for (let at = 1; at < all.length - 1; at += 1) {
      before.set(all[at], [all[at - 1]]);
      after.set(all[at], [all[at + 1]]);
    }
    return all;
  }

  for (const ids of rows) spread(ids, ids.map((id, k) => (k - (ids.length - 1) / 2) * (WIDTH + APART)), x, size);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const neighbours = sweep % 2 ? after : before;
    for (const ids of sweep % 2 ? [...rows].reverse() : rows) {
      spread(ids, ids.map((id) => mean(neighbours.get(id).map((other) => x.get(other))) ?? x.get(id)), x, size);
    }
  }
  const placed = new Map();
  let y = 8;
  for (const ids of rows) {
    const tall = Math.max(...ids.map((id) => size.get(id)[1]));
    for (const id of ids) placed.set(id, { x: x.get(id), y: y + tall / 2, width: size.get(id)[0], height: size.get(id)[1] || tall });
    y += tall + BETWEEN;
  }
  return { placed, ways };
}

/** Put the nodes of a row near where they want to be, without overlap and in their order. */
function spread(ids, wanted, x, size) {
  let right = -Infinity;
  const made = ids.map((id, k) => {
    const half = size.get(id)[0] / 2;
    const place = Math.max(wanted[k], right + APART + half);
    right = place + half;
    return place;
  });
  const shift = mean(wanted.map((want, k) => want - made[k])) ?? 0;
  for (const [k, id] of ids.entries()) x.set(id, made[k] + shift);
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

function line(spots, label) {
  const [start, end] = [spots[0], spots.at(-1)];
  let [x, y] = [start.x, start.y + start.height / 2];
  let path = `M${x} ${y}`;
  for (const spot of spots.slice(1)) {
    const top = spot.y - spot.height / 2;
    if (Math.abs(x - spot.x) >= 1) {
      const bend = spot === end ? Math.min(BETWEEN, top - y) : BETWEEN;
      path += `C${x} ${y + bend * 0.7} ${spot.x} ${y + bend * 0.1} ${spot.x} ${y + bend * 0.8}`;
    }
    path += `V${top}`;
    [x, y] = [spot.x, spot.y + spot.height / 2];
  }
  const near = spots[1];
  return drawn(
    "g.edge",
    {},
    drawn("path", { d: path, "marker-end": "url(#arrow)" }),
    label && drawn("text", { x: near.x + 6, y: start.y + start.height / 2 + BETWEEN - 7 }, clipped(label, 28), drawn("title", {}, label)),
  );
}

function box(node, spot, open, chosen, wrong) {
  const { x, y, width, height } = spot;
  const isStep = node.kind === "step" || node.kind === "choice" || node.kind === "fork";
  const hint = [node.label, node.processor !== node.label && node.processor, node.summary, ...Object.entries({ ...node.changed, ...node.policy }).map(([key, value]) => `${key}: ${written(value)}`)].filter(Boolean).join("\n");
  const about = [...Object.entries(node.changed), ...Object.entries(node.policy)].map(([key, value]) => `${key}: ${written(value)}`).join(", ");
  const shape =
    node.kind === "join"
      ? drawn("circle", { cx: x, cy: y, r: 5 })
      : drawn("rect", { x: x - width / 2, y: y - height / 2, width, height, rx: node.kind === "step" ? 6 : node.kind === "choice" || node.kind === "fork" ? 16 : height / 2 });
  const group = drawn(
    `g.node.${node.kind}`,
    { "data-node": node.id, class: [chosen && "chosen", wrong && "wrong"].filter(Boolean).join(" ") },
    drawn("title", {}, hint),
    shape,
    node.kind !== "join" && drawn("text", { x, y: isStep && about ? y - 5 : y + 4.5, "text-anchor": "middle", class: "label" }, clipped(node.label, 28)),
    isStep && about && drawn("text", { x, y: y + 12, "text-anchor": "middle", class: "about" }, clipped(about, 34)),
  );
  if (isStep) {
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", `${node.label}${about ? `, ${about}` : ""}`);
    group.addEventListener("click", () => open(node.id));
    group.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open(node.id);
    });
  }
  return group;
}

function clipped(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
