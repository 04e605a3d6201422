// A picture on a canvas: fitted or zoomed, sharp on every screen, and from the screen back to its pixels.

export class PictureView {
  /** paint(context, view) draws over the picture; onDraw() tells that a new one is on the screen. */
  constructor(canvas, paint) {
    this.canvas = canvas;
    this.paint = paint;
    this.bitmap = null;
    this.width = this.height = 0;
    this.isGrey = false;
    this.zoom = 1;
    this.pan = [0, 0];
    this.isDue = false;
    new ResizeObserver(() => this.refresh()).observe(canvas);
  }

  /** Show a picture; the view owns the bitmap from now on. */
  show(bitmap) {
    if (this.bitmap && this.bitmap !== bitmap) this.bitmap.close();
    this.bitmap = bitmap;
    if (this.width !== bitmap.width || this.height !== bitmap.height) {
      [this.width, this.height] = [bitmap.width, bitmap.height];
      this.canvas.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    }
    this.refresh();
  }

  clear() {
    this.bitmap?.close();
    this.bitmap = null;
    this.refresh();
  }

  refresh() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.#draw();
    });
  }

  /** From pixels of the frame to the canvas' layout: { scale, x, y }. */
  get view() {
    const { clientWidth, clientHeight } = this.canvas;
    const fit = Math.min(clientWidth / (this.width || 1), clientHeight / (this.height || 1));
    const scale = fit * this.zoom;
    return {
      scale,
      x: (clientWidth - this.width * scale) / 2 + this.pan[0],
      y: (clientHeight - this.height * scale) / 2 + this.pan[1],
    };
  }

  /** The pixel of the frame under a pointer event, held to the picture's edges. */
  pixelAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const { scale, x, y } = this.view;
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    return [
      clamp((event.clientX - box.left - x) / scale, this.width),
      clamp((event.clientY - box.top - y) / scale, this.height),
    ];
  }

  /** Zoom so that the pixel stays where it is on the screen. */
  zoomAt([px, py], factor) {
    const before = this.view;
    this.zoom = Math.max(1, Math.min(16, this.zoom * factor));
    if (this.zoom === 1) this.pan = [0, 0];
    else {
      const after = this.view;
      this.pan[0] += before.x + px * before.scale - (after.x + px * after.scale);
      this.pan[1] += before.y + py * before.scale - (after.y + py * after.scale);
    }
    this.refresh();
  }

  /** Zoom so that a circle of the frame fills the view. */
  zoomTo([px, py], radius) {
    this.zoom = 1;
    this.pan = [0, 0];
    const { clientWidth, clientHeight } = this.canvas;
    const fit = this.view.scale;
    this.zoom = Math.max(1, Math.min(16, Math.min(clientWidth, clientHeight) / (2 * radius * fit)));
    if (this.zoom > 1) {
      const { scale, x, y } = this.view;
      this.pan = [clientWidth / 2 - (x + px * scale), clientHeight / 2 - (y + py * scale)];
    }
    this.refresh();
  }

  panBy(dx, dy) {
    if (this.zoom === 1) return;
    this.pan = [this.pan[0] + dx, this.pan[1] + dy];
    this.refresh();
  }

  #draw() {
    const { canvas, bitmap } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    if (!bitmap) return;
    const view = this.view;
    context.imageSmoothingEnabled = view.scale < 3;
    context.imageSmoothingQuality = "high";
    context.filter = this.isGrey ? "grayscale(1) brightness(.6)" : "none";
    context.drawImage(bitmap, view.x, view.y, this.width * view.scale, this.height * view.scale);
    context.filter = "none";
    this.paint(context, view);
  }
}
