/**
 * Where the picture is on the screen.
 *
 * Positions in the image are (x, y), 0-based, with the centre of the first pixel at (0, 0) and y upwards.
 */

const LARGEST_ZOOM = 64;

/** What is in sight: the image position at the middle of the screen, and the screen pixels of one image pixel. */
export class Scene {
  constructor(width, height) {
    Object.assign(this, { width, height, x: (width - 1) / 2, y: (height - 1) / 2, across: 1, down: 1 });
    this.fit();
  }

  /** The zoom with which the whole image is in sight. */
  get whole() {
    return Math.min(this.across / this.width, this.down / this.height);
  }

  /** The screen has another size [px]. */
  resize(across, down) {
    const wasWhole = Math.abs(this.zoom - this.whole) < 1e-9;
    Object.assign(this, { across, down });
    if (wasWhole) this.fit();
  }

  fit() {
    Object.assign(this, { x: (this.width - 1) / 2, y: (this.height - 1) / 2, zoom: this.whole });
  }

  /** Position in the image of a point of the screen. */
  toImage(across, down) {
    return [this.x + (across - this.across / 2) / this.zoom, this.y - (down - this.down / 2) / this.zoom];
  }

  /** Point of the screen of a position in the image. */
  toScreen(x, y) {
    return [this.across / 2 + (x - this.x) * this.zoom, this.down / 2 - (y - this.y) * this.zoom];
  }

  /** Zoom by a factor; the given point of the screen stays where it is. */
  zoomBy(factor, across = this.across / 2, down = this.down / 2) {
    const [x, y] = this.toImage(across, down);
    this.zoom = Math.min(LARGEST_ZOOM, Math.max(Math.min(this.whole, 1) / 2, this.zoom * factor));
    this.x = x - (across - this.across / 2) / this.zoom;
    this.y = y + (down - this.down / 2) / this.zoom;
    this.keep();
  }

  /** Move by screen pixels. */
  moveBy(across, down) {
    this.x -= across / this.zoom;
    this.y += down / this.zoom;
    this.keep();
  }

  /** Look at a position, at least as near as `zoom`. */
  lookAt(x, y, zoom = this.zoom) {
    Object.assign(this, { x, y, zoom: Math.max(this.zoom, zoom) });
    this.keep();
  }

  /** Some of the image stays in sight. */
  keep() {
    this.x = Math.min(this.width - 0.5, Math.max(-0.5, this.x));
    this.y = Math.min(this.height - 0.5, Math.max(-0.5, this.y));
  }
}
