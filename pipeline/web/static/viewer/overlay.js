/** The outlines of sources over the picture. */

const SMALLEST = 5; // [px of the screen]
const LABELS = 60; // numbers are shown when no more sources than this are in sight

/** Draw the outlines of what is in sight. */
export function drawSources(context, scene, sources, { chosen, hovered, colors }) {
  const near = [];
  for (let k = 0; k < sources.x.length; k += 1) {
    if (sources.x[k] === null || sources.y[k] === null) continue;
    const [across, down] = scene.toScreen(sources.x[k], sources.y[k]);
    const reach = radius(scene, sources, k);
    if (across < -reach || down < -reach || across > scene.across + reach || down > scene.down + reach) continue;
    near.push([k, across, down]);
  }
  // Dark below light: seen on any background.
  for (const [width, style] of [[2.6, "rgba(0, 0, 0, .5)"], [1.3, colors.outline]]) {
    context.lineWidth = width;
    for (const flagged of [false, true]) {
      context.strokeStyle = width > 2 ? style : flagged ? colors.flagged : style;
      context.setLineDash(flagged ? [4, 3] : []);
      context.beginPath();
      for (const [k, across, down] of near) if (sources.flagged[k] === flagged) outline(context, scene, sources, k, across, down);
      context.stroke();
    }
  }
  context.setLineDash([]);
  for (const k of [hovered, chosen]) {
    const found = near.find(([index]) => index === k);
    if (!found) continue;
    for (const [width, style] of [[5, "rgba(0, 0, 0, .6)"], [2.5, colors.chosen]]) {
      context.lineWidth = width;
      context.strokeStyle = style;
      context.beginPath();
      outline(context, scene, sources, ...found);
      if (k === chosen) cross(context, found[1], found[2], radius(scene, sources, k));
      context.stroke();
    }
  }
  if (near.length <= LABELS && scene.zoom > scene.whole * 1.5) label(context, scene, sources, near, colors);
}

/** A cross at a position that was tapped: the finger hides what is said of it. */
export function drawCross(context, scene, [x, y], colors) {
  const [across, down] = scene.toScreen(x, y);
  for (const [width, style] of [[4, "rgba(0, 0, 0, .6)"], [1.5, colors.chosen]]) {
    context.lineWidth = width;
    context.strokeStyle = style;
    context.beginPath();
    cross(context, across, down, 0);
    context.stroke();
  }
}

function radius(scene, sources, k) {
  return Math.max(SMALLEST, (sources.a[k] ?? 0) * scene.zoom);
}

function outline(context, scene, sources, k, across, down) {
  const a = radius(scene, sources, k);
  const b = Math.max(SMALLEST * 0.8, (sources.b[k] ?? sources.a[k] ?? 0) * scene.zoom);
  const angle = (-(sources.theta[k] ?? 0) * Math.PI) / 180; // the screen's y goes down
  context.moveTo(across + a * Math.cos(angle), down + a * Math.sin(angle));
  context.ellipse(across, down, a, Math.min(a, b), angle, 0, 2 * Math.PI);
}

function cross(context, across, down, reach) {
  for (const [i, j] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(across + i * (reach + 4), down + j * (reach + 4));
    context.lineTo(across + i * (reach + 12), down + j * (reach + 12));
  }
}

function label(context, scene, sources, near, colors) {
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "bottom";
  for (const [k, across, down] of near) {
    const reach = radius(scene, sources, k) * 0.72 + 2;
    context.lineWidth = 3;
    context.strokeStyle = "rgba(0, 0, 0, .7)";
    context.strokeText(sources.row[k] + 1, across + reach, down - reach);
    context.fillStyle = colors.outline;
    context.fillText(sources.row[k] + 1, across + reach, down - reach);
  }
}

/** The source at a point of the screen, or null: the one whose centre is nearest among those that are hit. */
export function sourceAt(scene, sources, across, down) {
  let best = null;
  let nearest = Infinity;
  for (let k = 0; k < sources.x.length; k += 1) {
    if (sources.x[k] === null || sources.y[k] === null) continue;
    const [sx, sy] = scene.toScreen(sources.x[k], sources.y[k]);
    const distance = Math.hypot(sx - across, sy - down);
    if (distance < nearest && distance <= Math.max(radius(scene, sources, k) + 3, 10)) [best, nearest] = [k, distance];
  }
  return best;
}
