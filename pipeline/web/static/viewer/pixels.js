/** What a pixel holds, and where on the sky it is: asked of the daemon while the pointer moves. */

import { get, isAbort } from "../core/api.js";

const EVERY = 100; // ms between questions
const PATIENCE = 300; // ms for which an answer is waited for when the pointer has gone on

/**
 * Asks for one pixel at a time: the one that the pointer is at when the last answer has come.
 *
 * An answer is told with the position that it is for, so that what is shown together belongs together. One that takes
 * too long is not waited for when the pointer is elsewhere by then.
 */
export class PixelAsker {
  /**
   * @param {Object} does `told(x, y, pixel)` with each answer, `failed(x, y, error)` where there is none
   */
  constructor(product, { told, failed, signal }) {
    Object.assign(this, { product, told, failed, signal, plane: "data", wanted: null, asked: null, last: null, since: -Infinity, timer: 0 });
    signal.addEventListener("abort", () => this.forget());
  }

  /** Ask of another plane; the position is asked for again. */
  setPlane(plane) {
    if (plane === this.plane) return;
    this.plane = plane;
    if (this.last) this.ask(...this.last);
  }

  /** Ask for a position; true if nothing has been told for a while, so that the position itself is worth saying. */
  ask(x, y) {
    this.wanted = [x, y];
    this.last = this.wanted;
    this.next();
    return performance.now() - (this.toldAt ?? -Infinity) > PATIENCE;
  }

  /** Nobody wants to know any more. */
  forget() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.wanted = this.last = null;
    this.asked?.abort();
    this.asked = null;
  }

  next() {
    if (!this.wanted || this.timer || this.signal.aborted) return;
    const age = performance.now() - this.since;
    const wait = this.asked ? PATIENCE - age : EVERY - age;
    if (wait > 0) {
      this.timer = setTimeout(() => {
        this.timer = 0;
        this.next();
      }, wait);
      return;
    }
    this.asked?.abort();
    this.fetch(...this.wanted);
  }

  async fetch(x, y) {
    const asked = new AbortController();
    Object.assign(this, { asked, wanted: null, since: performance.now() });
    try {
      const pixel = await get(`/api/products/${this.product.id}/pixel`, { query: { x, y, plane: this.plane }, signal: asked.signal });
      if (this.asked !== asked) return;
      this.toldAt = performance.now();
      this.told(x, y, pixel);
    } catch (error) {
      if (isAbort(error) || this.asked !== asked) return;
      if (error.status === undefined) throw error; // a mistake of ours
      this.failed(x, y, error);
    }
    this.asked = null;
    clearTimeout(this.timer);
    this.timer = 0;
    this.next();
  }
}
