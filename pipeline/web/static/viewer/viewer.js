/** A picture that one looks into: pan, zoom, stretch, and the catalogue drawn on it. */

import { get, isAbort } from "../core/api.js";
import { element, fill } from "../core/element.js";
import { count, number } from "../core/format.js";
import { empty, failed } from "../core/loading.js";
import { download } from "../parts/products.js";
import { catalogue } from "./catalogue.js";
import { controls, readout } from "./controls.js";
import { listen } from "./gestures.js";
import { drawCross, drawSources, sourceAt } from "./overlay.js";
import { PixelAsker } from "./pixels.js";
import { Scene } from "./scene.js";
import { Tiles } from "./tiles.js";

const SOURCES = 5000;
const HINT = "x, y are 0-based, the first pixel is at the bottom left. Drag to move, wheel to zoom; + − 0 1, arrows, s, n, p";

/** A viewer for the images of a job. */
export function viewer(products, signal) {
  const place = element("div.viewer-place");
  let open = new AbortController();

  function show(product) {
    open.abort();
    open = new AbortController();
    const ends = AbortSignal.any ? AbortSignal.any([signal, open.signal]) : signal;
    const choice = products.length > 1 && element(
      "select",
      { "aria-label": "Image", change: (event) => show(products.find((one) => one.id === Number(event.target.value))) },
      products.map((one) => element("option", { value: one.id, selected: one.id === product.id }, one.name)),
    );
    const box = element("div");
    fill(place, element("div.viewer-head", {}, choice || element("span.mono", {}, product.name), download(product)), box);
    start(product, box, ends);
  }

  show(products[0]);
  return place;
}

async function start(product, box, signal) {
  fill(box, element("p.empty", {}, "Looking …"));
  try {
    const info = await get(`/api/products/${product.id}/info`, { signal });
    if (info.width < 1 || info.height < 1) fill(box, empty("The image has no pixels."));
    else build(product, info, box, signal);
  } catch (error) {
    if (!isAbort(error)) fill(box, failed(error, () => start(product, box, signal)));
  }
}

function build(product, info, box, signal) {
  const canvas = element("canvas", {
    tabindex: "0", role: "application", "aria-label": `Picture of ${product.name}, ${info.width} by ${info.height} pixels. ${HINT}`,
  });
  const scene = new Scene(info.width, info.height);
  const problem = element("div.over", { role: "alert" });
  const position = readout();
  const beside = element("div.beside");
  let sources = null;
  let table = null;
  let shown = true;
  let chosen = null;
  let hovered = null;
  let asked = 0;
  let pointer = null; // on the screen
  let tapped = null; // in the image

  const tiles = new Tiles(product, info, {
    changed: redraw,
    failed: (error) => fill(problem, failed(error, () => {
      fill(problem);
      tiles.retry();
    })),
    signal,
  });
  const pixels = new PixelAsker(product, { told: sayPixel, failed: (x, y, error) => sayPixel(x, y, null, error.message), signal });
  const bar = controls(info, {
    look(look) {
      tiles.setLook(look);
      pixels.setPlane(look.plane);
      redraw();
    },
    zoom: (factor) => (scene.zoomBy(factor), redraw()),
    fit: () => (scene.fit(), redraw()),
    actual: () => (scene.zoomBy(1 / scene.zoom), redraw()),
    sources: (is) => ((shown = is), redraw()),
  });

  function redraw() {
    asked ||= requestAnimationFrame(draw);
  }

  function draw() {
    asked = 0;
    if (signal.aborted || !canvas.isConnected) return;
    const ratio = devicePixelRatio || 1;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, scene.across, scene.down);
    const complete = tiles.draw(context, scene, ratio);
    if (sources && shown) drawSources(context, scene, sources, { chosen, hovered, colors: colors() });
    if (tapped) drawCross(context, scene, tapped, colors());
    bar.showZoom(scene.zoom);
    canvas.dataset.complete = complete;
  }

  function choose(k, { look = false } = {}) {
    chosen = k;
    table?.choose(k);
    if (look && k !== null && sources.x[k] !== null) scene.lookAt(sources.x[k], sources.y[k], Math.min(4, scene.whole * 6));
    redraw();
  }

  /** Say what is at a position, and, where it is known, its pixel. */
  function sayPixel(x, y, pixel, trouble) {
    position.show(x, y, pixel, hovered === null ? null : sources.row[hovered] + 1, trouble);
  }

  /** Say what is at a point of the screen. */
  function look(across, down) {
    const [x, y] = scene.toImage(across, down).map((one) => Number(one.toFixed(scene.zoom < 8 ? 1 : 2)));
    if (x >= -0.5 && y >= -0.5 && x < info.width - 0.5 && y < info.height - 0.5) {
      if (pixels.ask(x, y)) sayPixel(x, y, null);
      return true;
    }
    pixels.forget();
    position.clear("outside the image");
    return false;
  }

  function pointed(across, down) {
    pointer = across === null ? null : [across, down];
    const over = across === null || !sources || !shown ? null : sourceAt(scene, sources, across, down);
    if (over !== hovered) {
      hovered = over;
      canvas.classList.toggle("pointing", over !== null);
      redraw();
    }
    if (pointer) look(across, down);
    else {
      pixels.forget();
      position.clear(HINT);
    }
  }

  listen(canvas, scene, {
    changed() {
      if (pointer) look(...pointer); // the picture has moved below it
      redraw();
    },
    clicked(across, down, isTouch) {
      canvas.focus({ preventScroll: true });
      if (sources && shown) choose(sourceAt(scene, sources, across, down));
      if (isTouch) tapped = look(across, down) ? scene.toImage(across, down) : null;
      redraw();
    },
    pointed,
    pressed(key) {
      if (key === "s") bar.toggleSources();
      else if ((key === "n" || key === "p") && sources?.x.length) {
        const size = sources.x.length;
        choose(chosen === null ? 0 : (chosen + (key === "n" ? 1 : size - 1)) % size, { look: true });
      } else if (key === "Escape" && chosen !== null) choose(null);
      else return false;
      return true;
    },
  });

  const frame = element("div.canvas", {}, canvas, problem);
  const sizes = new ResizeObserver(() => {
    const { clientWidth, clientHeight } = frame;
    if (!clientWidth || !clientHeight) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(clientWidth * ratio);
    canvas.height = Math.round(clientHeight * ratio);
    scene.resize(clientWidth, clientHeight);
    draw();
    table?.render();
  });
  sizes.observe(frame);
  signal.addEventListener("abort", () => sizes.disconnect());
  addEventListener("themechange", redraw, { signal });

  position.clear(HINT);
  fill(box, element("div.viewer", {}, bar.node, position.node, element("div.viewer-body", {}, element("div.picture-side", {}, frame, element("div.under", {}, element("span.soft", {}, about(info)))), beside)));
  canvas.scene = scene; // for whoever drives the page by a program
  if (info.sources > 0) loadSources(product, beside, signal, (answer) => {
    sources = answer;
    canvas.sources = answer;
    table = catalogue(answer, (k) => choose(k, { look: true }), signal);
    fill(
      beside,
      element("p.soft", {}, answer.total > answer.rows.length ? `The ${count(answer.rows.length)} brightest of ${count(answer.total)} sources` : `${count(answer.total)} sources`),
      table.node,
      table.details,
    );
    redraw();
  });
  else fill(beside, element("p.empty", {}, "The image has no catalogue."));
}

async function loadSources(product, place, signal, show) {
  try {
    show(await get(`/api/products/${product.id}/sources`, { query: { limit: SOURCES }, signal }));
  } catch (error) {
    if (!isAbort(error)) fill(place, failed(error, () => loadSources(product, place, signal, show)));
  }
}

function about(info) {
  return [
    `${count(info.width)} × ${count(info.height)} px`,
    info.pixel_scale && `${number(info.pixel_scale, 3)} arcsec/px`,
    info.median !== null && `median ${number(info.median, 5)}${info.unit ? ` ${info.unit}` : ""}`,
    info.masked > 0 && `${count(info.masked)} px masked`,
    info.frames > 1 && `mean of ${count(info.frames)} frames`,
  ].filter(Boolean).join(", ");
}

/** Colours of outlines, as the theme has them; the picture itself is always light on black. */
function colors() {
  if (document.documentElement.dataset.theme === "red") return { outline: "#ff5a4d", flagged: "#ffbab1", chosen: "#ffffff" };
  return { outline: "#56d7ff", flagged: "#ffb347", chosen: "#ffe94a" };
}
