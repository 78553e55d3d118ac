/** The pixels of a picture, fetched in tiles, each at the resolution that is needed. */

import { fetched, isAbort } from "../core/api.js";

const SIDE = 512; // of a tile [px of the screen]
const KEPT = 160; // tiles: each has about 1 MB
const AT_ONCE = 4;

/**
 * The tiles of one product.
 *
 * Level 0 has a pixel of the picture for each of the image, level k one for 2^k x 2^k. A tile that is not there
 * yet is drawn from a coarser one, or from the last stretch, so that nothing flickers.
 */
export class Tiles {
  constructor(product, info, { changed, failed, signal }) {
    Object.assign(this, { product, info, changed, failed, signal });
    this.known = new Map();
    this.wanted = [];
    this.loading = 0;
    this.look = null;
    this.before = null;
    this.coarsest = Math.max(0, Math.ceil(Math.log2(Math.max(info.width, info.height) / SIDE)));
  }

  /** Show with another stretch, other levels, another plane: {stretch, low, high, plane, mask}. */
  setLook(look) {
    const name = `${look.stretch}/${look.low}/${look.high}/${look.plane}/${look.mask}`;
    if (this.look?.name === name) return;
    if (this.look && this.drawnWith === this.look.name) this.before = this.look;
    this.look = { ...look, name };
    this.wanted = [];
  }

  /** Draw what is in sight. `context` is scaled by `ratio` pixels of the device for one of the screen. */
  draw(context, scene, ratio) {
    const level = Math.min(this.coarsest, Math.max(0, Math.floor(-Math.log2(scene.zoom * ratio) + 0.35)));
    const missing = [];
    for (let coarse = this.coarsest; coarse >= level; coarse -= 1) {
      for (const tile of this.inSight(scene, coarse)) {
        const bitmap = this.get(this.look, tile);
        if (bitmap) this.place(context, scene, tile, bitmap);
        else {
          if (coarse === level || coarse === this.coarsest) missing.push(tile);
          const older = this.before && this.get(this.before, tile);
          if (older && coarse === level) this.place(context, scene, tile, older);
        }
      }
    }
    this.drawnWith = this.look.name;
    this.wanted = missing;
    this.fetchNext();
    return missing.length === 0;
  }

  inSight(scene, level) {
    const step = SIDE * 2 ** level;
    const { width, height } = this.info;
    const [left, top] = scene.toImage(0, 0);
    const [right, bottom] = scene.toImage(scene.across, scene.down);
    const found = [];
    for (let j = Math.max(0, Math.floor((bottom + 0.5) / step)); j * step < Math.min(height, top + 0.5); j += 1) {
      for (let i = Math.max(0, Math.floor((left + 0.5) / step)); i * step < Math.min(width, right + 0.5); i += 1) {
        const [x0, y0] = [i * step, j * step];
        found.push({ level, x0, y0, width: Math.min(step, width - x0), height: Math.min(step, height - y0) });
      }
    }
    const [x, y] = [scene.x, scene.y];
    const far = (tile) => Math.hypot(tile.x0 + tile.width / 2 - x, tile.y0 + tile.height / 2 - y);
    return found.sort((a, b) => far(a) - far(b));
  }

  place(context, scene, tile, bitmap) {
    const [left, bottom] = scene.toScreen(tile.x0 - 0.5, tile.y0 - 0.5);
    const [right, top] = scene.toScreen(tile.x0 + tile.width - 0.5, tile.y0 + tile.height - 0.5);
    context.imageSmoothingEnabled = scene.zoom * 2 ** tile.level < 2;
    context.drawImage(bitmap, left, top, right - left, bottom - top);
  }

  get(look, tile) {
    const name = nameOf(look, tile);
    const found = this.known.get(name);
    if (found) {
      this.known.delete(name); // it was used last
      this.known.set(name, found);
    }
    return found;
  }

  fetchNext() {
    while (this.loading < AT_ONCE) {
      const tile = this.wanted.find((one) => !this.known.has(nameOf(this.look, one)) && !this.pending?.has(nameOf(this.look, one)));
      if (!tile) return;
      this.load(tile, this.look);
    }
  }

  async load(tile, look) {
    const name = nameOf(look, tile);
    this.pending ??= new Set();
    this.pending.add(name);
    this.loading += 1;
    try {
      const { x0, y0, width, height, level } = tile;
      const { stretch, low, high, plane } = look;
      const query = { x0, y0, width, height, scale: 2 ** -level, stretch, low, high, plane, mask: look.mask || null };
      const answer = await fetched(`/api/products/${this.product.id}/picture`, { query, signal: this.signal });
      const bitmap = await createImageBitmap(await answer.blob());
      this.known.set(name, bitmap);
      while (this.known.size > KEPT) {
        const [oldest, picture] = this.known.entries().next().value;
        picture.close();
        this.known.delete(oldest);
      }
      this.pending.delete(name);
      this.changed();
    } catch (error) {
      if (isAbort(error) || this.signal.aborted) return;
      this.failed(error); // the tile stays pending: it is not asked for again and again
    } finally {
      this.loading -= 1;
      if (!this.signal.aborted) this.fetchNext();
    }
  }

  /** Ask anew for what could not be had. */
  retry() {
    this.pending?.clear();
    this.fetchNext();
  }
}

function nameOf(look, tile) {
  return `${look.name}|${tile.level}|${tile.x0}|${tile.y0}`;
}
