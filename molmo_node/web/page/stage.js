// The picture: live, or the very frame that an answer was made from. Clicks and boxes ask about it.
import { at, bitmapOf } from "./dom.js";
import { clockTime, duration } from "./format.js";
import { drawAnswer, drawCross, drawRegion } from "./overlay.js";
import { PictureView } from "./picture_view.js";

const KEPT_BYTES = 12_000_000;
const KEPT_ANSWERS = 200;
const STALE_MS = 1500;
const DRAG_PX = 6;
const LEAST_PX = 32; // the smallest region that the node looks at
const CLICK_SHARE = 0.28; // of the shorter side: what a click asks about

const frameKey = (frame) => `${frame.session}/${frame.seq}`;

export class Stage extends EventTarget {
  constructor(live) {
    super();
    this.live = live;
    this.camera = "";
    this.facts = null; // what the node says of this camera
    this.mode = "live"; // live, answered or pinned
    this.shown = null; // header of the frame on the screen
    this.pinned = null; // { frame, answer, roi, history }
    this.wanted = null; // the one to pin, while its picture is on the way
    this.region = null;
    this.draft = null;
    this.cross = null;
    this.kept = new Map();
    this.keptBytes = 0;
    this.answers = new Map();
    this.waiting = null;
    this.isDecoding = false;
    this.picture = new PictureView(at("view"), (context, view) => this.#paint(context, view));
    live.addEventListener("picture", (event) => this.#take(event.detail));
    live.addEventListener("answer", (event) => this.#takeAnswer(event.detail.answer));
    live.addEventListener("up", () => this.#tick());
    setInterval(() => this.#tick(), 250);
    this.#listenToPointer();
    this.#listenToKeys();
    at("back-to-live").addEventListener("click", () => this.backToLive());
  }

  setCamera(name) {
    if (name === this.camera) return;
    this.camera = name;
    this.facts = this.shown = this.region = null;
    this.picture.clear();
    this.setMode(this.mode === "pinned" ? "live" : this.mode);
    this.live.look(name);
    this.#tellRegion();
  }

  setFacts(facts) {
    this.facts = facts;
    this.#tick();
  }

  setMode(mode) {
    this.mode = mode;
    if (mode !== "pinned") this.pinned = null;
    at("back-to-live").hidden = mode !== "pinned";
    this.dispatchEvent(new Event("mode"));
    this.#tick();
    this.picture.refresh();
  }

  backToLive() {
    this.setMode(this.before === "answered" ? "answered" : "live");
  }

  /** Hold the picture still on one frame, with its answer if there is one. */
  async pin({ frame, answer = null, roi = null, history = null }) {
    if (this.mode !== "pinned") this.before = this.mode;
    const pinned = (this.wanted = { frame, answer, roi, history });
    const isShown = this.shown && frame && frameKey(this.shown) === frameKey(frame) && this.picture.bitmap;
    if (!isShown) {
      const blob = frame && this.kept.get(frameKey(frame))?.blob;
      const bitmap = await bitmapOf(blob ?? `/api/history/${history}/picture.jpg`);
      if (this.wanted !== pinned) return bitmap.close(); // the last one chosen wins
      this.shown = frame;
      this.picture.show(bitmap);
    }
    this.pinned = pinned;
    this.setMode("pinned");
  }

  setRegion(roi) {
    this.region = roi;
    this.#tellRegion();
    this.picture.refresh();
  }

  /** Which picture a question is about now: as `POST /api/ask` wants it. */
  get askedPicture() {
    if (this.mode === "pinned" && this.pinned.history) return { history: this.pinned.history };
    const fields = { camera: this.camera };
    return this.shown ? { ...fields, session: this.shown.session, seq: this.shown.seq } : fields;
  }

  #tellRegion() {
    this.dispatchEvent(new Event("region"));
  }

  #take(picture) {
    this.#keep(picture);
    const isOurs = picture.camera === this.camera;
    if (isOurs) this.newest = picture;
    if (isOurs && this.mode === "live") this.#decode(picture);
    else requestAnimationFrame(() => this.live.seen(picture.n)); // a hidden tab does not get here
  }

  #keep(picture) {
    this.kept.set(frameKey(picture), picture);
    this.keptBytes += picture.blob.size;
    while (this.keptBytes > KEPT_BYTES && this.kept.size > 2) {
      const [key, oldest] = this.kept.entries().next().value;
      this.kept.delete(key);
      this.keptBytes -= oldest.blob.size;
    }
  }

  async #decode(picture) {
    this.waiting = picture;
    if (this.isDecoding) return;
    this.isDecoding = true;
    while (this.waiting) {
      const next = this.waiting;
      this.waiting = null;
      const bitmap = await bitmapOf(next.blob).catch(() => null);
      if (bitmap && this.mode === "live" && next.camera === this.camera) {
        this.shown = next;
        this.picture.show(bitmap);
      } else bitmap?.close();
      requestAnimationFrame(() => this.live.seen(next.n));
    }
    this.isDecoding = false;
    this.#tick();
  }

  async #takeAnswer(answer) {
    const key = frameKey(answer.frame);
    const others = (this.answers.get(key) ?? []).filter((other) => other.watch !== answer.watch);
    this.answers.set(key, [...others, answer]);
    if (this.answers.size > KEPT_ANSWERS) this.answers.delete(this.answers.keys().next().value);
    if (answer.frame.camera !== this.camera) return;
    if (this.mode !== "answered") {
      this.picture.refresh();
      return;
    }
    const bitmap = await this.bitmapFor(answer.frame).catch(() => null);
    if (!bitmap || this.mode !== "answered") return;
    this.shown = { ...answer.frame, stamp_ms: answer.frame.stamp_ns / 1e6, width: answer.width, height: answer.height };
    this.picture.show(bitmap);
  }

  /** The very frame, from here or from the node's shelf. */
  bitmapFor(frame) {
    const blob = this.kept.get(frameKey(frame))?.blob;
    return bitmapOf(blob ?? `/api/cameras/${frame.camera}/frames/${frame.session}/${frame.seq}.jpg`);
  }

  #paint(context, view) {
    const roi = this.mode === "pinned" ? this.pinned.roi : this.region;
    if (roi) drawRegion(context, view, roi);
    if (this.draft) drawRegion(context, view, this.draft, true);
    for (const answer of this.#answersShown()) drawAnswer(context, view, answer);
    if (this.cross) drawCross(context, view.x + this.cross[0] * view.scale, view.y + this.cross[1] * view.scale);
    const { shown } = this;
    this.picture.canvas.dataset.seq = shown?.seq ?? "";
    this.picture.canvas.dataset.drawn = this.#answersShown().length;
  }

  #answersShown() {
    if (this.mode === "pinned") return this.pinned.answer ? [this.pinned.answer] : [];
    return (this.shown && this.answers.get(frameKey(this.shown))) ?? [];
  }

  /** How old the picture is, whether it is live at all, and what to say about it. */
  #tick() {
    const { facts, newest } = this;
    const arrived = newest?.camera === this.camera ? newest : null;
    const ageMs = arrived ? this.live.now() - arrived.stamp_ms : facts?.age_ms ?? null;
    const periodMs = facts?.rate_hz ? 1000 / facts.rate_hz : facts?.expected_hz ? 1000 / facts.expected_hz : 0;
    const isLate = ageMs === null || ageMs > Math.max(STALE_MS, 3 * periodMs);
    const isLost = !this.live.isUp || (facts && !facts.alive) || (arrived && isLate && facts && facts.age_ms > STALE_MS && facts.age_ms > 3 * periodMs);
    this.picture.canvas.dataset.stale = String(Boolean(isLost));
    const isGrey = this.mode !== "pinned" && Boolean(isLost);
    if (isGrey !== this.picture.isGrey) {
      this.picture.isGrey = isGrey;
      this.picture.refresh();
    }
    this.#say(isLost, ageMs);
    this.#sayFacts(ageMs);
  }

  #say(isLost, ageMs) {
    const note = at("stage-note");
    let text = "";
    if (this.mode === "pinned") text = this.pinned.note ?? `Frame ${this.pinned.frame?.seq ?? ""}, ${this.#when(this.pinned.frame)}`;
    else if (!this.live.isUp && this.picture.bitmap) text = "Connection lost, the picture stands still";
    else if (isLost && this.camera) text = ageMs === null ? `Camera ${this.camera}: no frame yet` : `Camera lost ${duration(ageMs)} ago`;
    else if (this.mode === "answered" && this.shown) text = `Frame ${this.shown.seq}, ${duration(this.live.now() - this.shown.stamp_ms)} old`;
    note.hidden = !text;
    note.dataset.kind = this.mode !== "pinned" && (isLost || !this.live.isUp) ? "bad" : "";
    if (note.textContent !== text) note.textContent = text;
  }

  #when(frame) {
    return frame?.stamp_ns ? clockTime(frame.stamp_ns / 1e6) : frame?.stamp_ms ? clockTime(frame.stamp_ms) : "";
  }

  #sayFacts(ageMs) {
    const { facts, newest } = this;
    if (!facts) return;
    const skipped = newest?.skipped ?? 0;
    const parts = [
      facts.width ? `${facts.width} × ${facts.height}` : "no size yet",
      `${facts.rate_hz} Hz`,
      `${duration(ageMs)} old`,
      `${facts.dropped + facts.rejected} dropped`,
      skipped ? `${skipped} skipped here` : "",
    ];
    at("picture-facts").textContent = parts.filter(Boolean).join("  ·  ");
    const size = facts.width ? `, ${facts.width} by ${facts.height} pixels` : "";
    at("view").setAttribute("aria-label", `Camera ${facts.name}${size}, ${this.mode === "live" ? "live" : "one frame"}`);
  }

  #listenToPointer() {
    const canvas = at("view");
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.picture.bitmap) return;
      canvas.setPointerCapture(event.pointerId);
      start = { x: event.clientX, y: event.clientY, pixel: this.picture.pixelAt(event) };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!start) return;
      const isDrag = Math.hypot(event.clientX - start.x, event.clientY - start.y) > DRAG_PX;
      this.draft = isDrag || this.draft ? this.#box(start.pixel, this.picture.pixelAt(event)) : null;
      this.picture.refresh();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!start) return;
      const { draft } = this;
      const pixel = this.picture.pixelAt(event);
      this.draft = start = null;
      if (draft) this.#chose(draft);
      else this.#clicked(pixel);
    });
    canvas.addEventListener("pointercancel", () => { this.draft = start = null; this.picture.refresh(); });
  }

  #listenToKeys() {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    at("view").addEventListener("keydown", (event) => {
      const { width, height } = this.picture;
      if (!width) return;
      if (steps[event.key]) {
        const step = (event.altKey ? 1 : Math.max(1, Math.round(width / 50)));
        const [x, y] = this.cross ?? [width / 2, height / 2];
        const [dx, dy] = steps[event.key];
        this.cross = [Math.max(0, Math.min(width, x + dx * step)), Math.max(0, Math.min(height, y + dy * step))];
        if (this.corner) this.draft = this.#box(this.corner, this.cross);
      } else if (event.key === " " && this.cross) {
        if (this.corner) {
          const box = this.#box(this.corner, this.cross);
          this.corner = this.draft = null;
          this.#chose(box);
        } else this.corner = this.cross;
      } else if (event.key === "Enter" && this.cross) this.#clicked(this.cross);
      else return;
      event.preventDefault();
      this.picture.refresh();
    });
    at("view").addEventListener("blur", () => { this.cross = this.corner = this.draft = null; this.picture.refresh(); });
  }

  #clicked([x, y]) {
    const side = Math.max(LEAST_PX, Math.round(Math.min(this.picture.width, this.picture.height) * CLICK_SHARE));
    this.dispatchEvent(new CustomEvent("click-at", { detail: { pixel: [x, y], roi: this.#fit(x - side / 2, y - side / 2, side, side) } }));
  }

  #chose(box) {
    this.setRegion(box);
    at("question").focus();
  }

  #box([x0, y0], [x1, y1]) {
    return this.#fit(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  }

  /** Whole pixels, no smaller than the node looks at, inside the picture. */
  #fit(left, top, wide, high) {
    const { width, height } = this.picture;
    const width_px = Math.min(width, Math.max(LEAST_PX, Math.round(wide)));
    const height_px = Math.min(height, Math.max(LEAST_PX, Math.round(high)));
    return {
      x_px: Math.max(0, Math.min(width - width_px, Math.round(left))),
      y_px: Math.max(0, Math.min(height - height_px, Math.round(top))),
      width_px,
      height_px,
    };
  }
}
