/** Mouse, touch and keys on the picture. */

const STEP = 60; // of an arrow key [px]
const CLICK = 5; // a pointer that has moved less has clicked [px]

/**
 * Let people move and zoom.
 *
 * @param {Element} surface what is touched
 * @param {Scene} scene is changed
 * @param {Object} does `changed()` after a change, `clicked(across, down, isTouch)`, `pointed(across, down)` or `pointed(null)`,
 *     `pressed(key)` for keys that are none of ours: true if it was used
 */
export function listen(surface, scene, { changed, clicked, pointed, pressed }) {
  const pointers = new Map();
  let moved = 0;

  const at = (event) => {
    const box = surface.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) moved = 0;
    surface.classList.add("grabbed");
  });

  surface.addEventListener("pointermove", (event) => {
    const here = at(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      pointed(...here);
      return;
    }
    const [dx, dy] = [here[0] - before[0], here[1] - before[1]];
    moved += Math.hypot(dx, dy);
    if (pointers.size === 1) {
      if (moved < CLICK) return;
      scene.moveBy(dx, dy);
    } else if (pointers.size === 2) {
      const [, other] = [...pointers].find(([id]) => id !== event.pointerId);
      const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
      const is = Math.hypot(here[0] - other[0], here[1] - other[1]);
      scene.moveBy(dx / 2, dy / 2);
      if (was > 0) scene.zoomBy(is / was, (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
    }
    pointers.set(event.pointerId, here);
    changed();
  });

  const up = (event) => {
    const was = pointers.delete(event.pointerId);
    if (!pointers.size) surface.classList.remove("grabbed");
    if (was && event.type === "pointerup" && moved < CLICK && !pointers.size) clicked(...at(event), event.pointerType === "touch");
  };
  surface.addEventListener("pointerup", up);
  surface.addEventListener("pointercancel", up);
  // What a finger has tapped stays said when the finger is gone.
  surface.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && pointed(null));

  surface.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 24 : event.deltaMode === 2 ? 240 : 1);
      scene.zoomBy(Math.exp(-Math.max(-240, Math.min(240, pixels)) * 0.0022), ...at(event));
      changed();
    },
    { passive: false },
  );

  surface.addEventListener("dblclick", (event) => {
    scene.zoomBy(2, ...at(event));
    changed();
  });

  surface.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const does = {
      "+": () => scene.zoomBy(1.5), "=": () => scene.zoomBy(1.5), "-": () => scene.zoomBy(1 / 1.5), "0": () => scene.fit(),
      "1": () => scene.zoomBy(1 / scene.zoom), ArrowLeft: () => scene.moveBy(STEP, 0), ArrowRight: () => scene.moveBy(-STEP, 0),
      ArrowUp: () => scene.moveBy(0, STEP), ArrowDown: () => scene.moveBy(0, -STEP),
    }[event.key];
    if (does) does();
    else if (!pressed(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    changed();
  });
}
