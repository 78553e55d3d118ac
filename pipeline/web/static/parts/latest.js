/** Pictures of the last products. */

import { fetched, get, isAbort } from "../core/api.js";
import { element, fill } from "../core/element.js";
import { number } from "../core/format.js";
import { on } from "../core/live.js";
import { empty, loader, throttled } from "../core/loading.js";
import { link } from "../core/router.js";
import { panel } from "./panel.js";
import { ageOf } from "./state.js";

const SHOWN = 8;
const ASKED = 24; // not every job makes an image
const SIDE = 320; // [px]
const LARGEST = 4e6; // of a picture that is shown as it is [byte]

/** A row of small pictures, the newest first. */
export function latestPictures(signal) {
  const place = element("div");
  const row = element("div.pictures");
  const known = new Map(); // job -> figure; null: it has made no image
  let round = 0;

  async function show(page) {
    round += 1;
    const mine = round;
    const figures = [];
    for (const job of page.jobs) {
      if (figures.length === SHOWN) break;
      if (!known.has(job.id)) known.set(job.id, await figure(job, signal));
      if (mine !== round || signal.aborted) return;
      if (known.get(job.id)) figures.push(known.get(job.id));
    }
    for (const id of known.keys()) if (!page.jobs.some((job) => job.id === id)) known.delete(id);
    if (figures.length !== row.children.length || figures.some((node, k) => node !== row.children[k])) row.replaceChildren(...figures);
    fill(place, figures.length ? row : empty("Pictures of products show up here."));
  }

  const load = loader(place, () => ["/api/jobs", { state: "done", limit: ASKED }], (page) => {
    show(page).catch((error) => {
      if (error.status === undefined && !isAbort(error)) throw error; // without an answer the row stays as it is
    });
  }, signal);
  const soon = throttled(load, 4000, signal);
  on("job", (job) => job.state === "done" && soon(), signal);
  on("changed", soon, signal);
  load();
  return panel("Latest products", place);
}

async function figure(job, signal) {
  const detail = await get(`/api/jobs/${job.id}`, { signal });
  const product = detail.products.find((one) => one.kind === "image") ?? detail.products.find((one) => one.kind === "picture" && one.size <= LARGEST);
  if (!product) return null;
  const canvas = element("canvas", { role: "img", "aria-label": `Picture of ${job.label}` });
  const box = element("div.frame", {}, canvas);
  draw(product, canvas, box, signal);
  const about = [job.object, job.filter, job.exposure_time ? `${number(job.exposure_time)} s` : ""].filter(Boolean).join(", ");
  return element(
    "a.picture",
    { href: link("job", job.id), title: [job.label, about].filter(Boolean).join("\n") },
    box,
    element("b", {}, job.label),
    element("small.soft", {}, job.filter, job.filter && " · ", ageOf(job.finished)),
  );
}

async function draw(product, canvas, box, signal) {
  try {
    const answer = product.kind === "image"
      ? await fetched(`/api/products/${product.id}/picture`, { query: { size: SIDE, stretch: "asinh" }, signal })
      : await fetched(`/api/products/${product.id}`, { signal });
    const picture = await createImageBitmap(await answer.blob());
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
  } catch (error) {
    if (!isAbort(error)) fill(box, element("span.soft", { title: error.message }, "no picture"));
  }
}
