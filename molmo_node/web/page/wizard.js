// Calibrate a dial: a picture, the pivot, two or more scale marks, ten test readings, a profile.
import { api, at, bitmapOf, errorLine, fill, h, toast } from "./dom.js";
import { number, reasonText } from "./format.js";
import { drawCross, drawLabel, drawPoint } from "./overlay.js";
import { PictureView } from "./picture_view.js";

const DRAG_PX = 5;

export class Wizard {
  constructor(stage) {
    this.stage = stage;
    this.state = null;
    this.source = null; // { id, camera, width, height }
    this.center = null;
    this.marks = []; // { value: text, x_px, y_px }
    this.trial = null;
    this.saved = null;
    this.isBusy = false;
    this.isOpen = false;
    this.#build();
  }

  setOpen(isOpen) {
    this.isOpen = isOpen;
    if (isOpen) this.picture.refresh();
  }

  show(state) {
    const names = state.cameras.map((camera) => camera.name).join();
    const isNews = !this.state || names !== this.cameraNames || state.can_save !== this.state.can_save;
    this.state = state;
    this.cameraNames = names;
    if (isNews) this.#showSources();
  }

  #build() {
    const canvas = h("canvas", { id: "dial", tabIndex: 0, role: "img", "aria-label": "the dial; choose a picture first" });
    const button = (text, label, factor) => h("button", { type: "button", "aria-label": label, onclick: () => this.#zoom(factor) }, text);
    this.sources = h("div", { className: "actions" });
    this.file = h("input", { type: "file", accept: "image/jpeg,image/png", className: "sr", id: "dial-file", tabIndex: -1, onchange: () => this.#upload() });
    this.note = h("div");
    this.unit = h("input", { id: "dial-unit", maxLength: 32, placeholder: "bar" });
    this.low = h("input", { id: "dial-low", type: "number", step: "any", placeholder: "none" });
    this.high = h("input", { id: "dial-high", type: "number", step: "any", placeholder: "none" });
    this.name = h("input", { id: "dial-name", maxLength: 64, placeholder: "boiler" });
    this.markList = h("ul", { className: "marks", id: "marks" });
    this.centerText = h("p", { className: "help" });
    this.result = h("div", { className: "fields", id: "trial" });
    this.savedNote = h("div", { id: "saved" });
    const label = (text, input) => h("label", {}, text, input);
    this.steps = [
      step(1, "A picture of the dial", "Sharp, from the front, the dial large.", this.sources, this.file),
      step(2, "Its pivot, then its marks", "Click the needle's pivot, then two or more printed marks and type their values; best the ends of the scale and one between. Wheel or + zooms, dragging moves.",
        h("div", { className: "actions" }, h("button", { type: "button", id: "propose", onclick: () => this.#propose() }, "Propose"), h("button", { type: "button", onclick: () => this.#reset() }, "Start over")), this.centerText, this.markList),
      step(3, "Unit and plausible range", "Readings outside the range are refused.", h("div", { className: "fields" }, label("Unit", this.unit), h("div", { className: "pair" }, label("Lowest", this.low), label("Highest", this.high)))),
      step(4, "Ten test readings", "How far they lie apart is what you can trust.", h("div", { className: "actions" },
        h("button", { type: "button", id: "try", onclick: () => this.#try() }, "Read ten times")), this.result),
      step(5, "Save", "The worker uses it within a second.", h("div", { className: "fields" }, label("Name", this.name)), h("div", { className: "actions" }, h("button", { type: "button", id: "save", className: "primary", onclick: () => this.#save(false) }, "Save profile")), this.savedNote),
    ];
    fill(at("view-calibrate"),
      h("div", { className: "wizard-head" }, h("h1", {}, "Calibrate a dial"), h("p", { className: "lede" }, "Once on a picture; then it is read for ever.")),
      h("div", { className: "seeing" }, h("div", { className: "stage" }, canvas, h("div", { className: "zoom" }, button("−", "zoom out", 1 / 1.5), button("+", "zoom in", 1.5))), this.note),
      h("div", { className: "steps" }, this.steps));
    this.picture = new PictureView(canvas, (context, view) => this.#paint(context, view));
    this.#listen(canvas);
    this.#update();
  }

  #showSources() {
    fill(this.sources, this.state.cameras.map((camera) => h("button", { type: "button", "data-source": camera.name, onclick: () => this.#freeze(camera.name) }, `Camera ${camera.name}`)),
      h("button", { type: "button", onclick: () => this.file.click() }, "A file …"));
  }

  #freeze(camera) {
    this.#choose(() => api("/api/pictures", { method: "POST", json: { camera } }));
  }

  #upload() {
    const file = this.file.files[0];
    if (file) this.#choose(() => api("/api/pictures", { method: "POST", body: file, type: file.type || "application/octet-stream" }));
    this.file.value = "";
  }

  #choose(send) {
    return this.#work(async () => {
      const source = await send();
      const bitmap = await bitmapOf(`/api/pictures/${source.id}.jpg`);
      this.#reset();
      this.source = source;
      this.picture.zoom = 1;
      this.picture.pan = [0, 0];
      this.picture.show(bitmap);
      this.picture.canvas.setAttribute("aria-label", `the dial, ${source.width} by ${source.height} pixels: click the pivot`);
    });
  }

  #reset() {
    Object.assign(this, { center: null, marks: [], trial: null, saved: null });
    fill(this.savedNote);
    this.#update();
  }

  #propose() {
    return this.#work(async () => {
      const found = await api("/api/wizard/propose", { method: "POST", json: { picture: this.source.id } });
      this.center = found.center;
      this.marks = found.marks.map((mark) => ({ ...mark, value: String(mark.value) }));
      if (found.unit) this.unit.value = found.unit;
      const reach = Math.max(...this.marks.map((mark) => Math.hypot(mark.x_px - this.center[0], mark.y_px - this.center[1])));
      this.picture.zoomTo(this.center, reach * 1.5);
      this.trial = null;
      toast("Check the marks; remove what is wrong and click it again");
    });
  }

  #try() {
    return this.#work(async () => {
      this.trial = await api("/api/wizard/try", { method: "POST", json: this.#calibration() });
    });
  }

  #save(replace) {
    return this.#work(async () => {
      const { name } = await api("/api/wizard/save", { method: "POST", json: { ...this.#calibration(), name: this.name.value.trim(), replace } });
      this.saved = name;
      const watch = () => api("/api/watches", { method: "POST", json: { task: "read_gauge", text: name, camera: this.source.camera, rate_hz: 1, name: `${name}-reading` } })
        .then(() => { location.hash = "watches"; }).catch((error) => fill(this.savedNote, errorLine(error)));
      fill(this.savedNote, h("p", {}, `Saved. Ask “Read gauge ${name}” in Live.`),
        this.source.camera ? h("button", { type: "button", onclick: watch }, "Watch it, once a second") : null);
    }, (error) => {
      if (error.hint?.includes("replace")) fill(this.savedNote, h("button", { type: "button", onclick: () => this.#save(true) }, "Replace it"));
    });
  }

  #calibration() {
    const bound = (input, other) => (input.value === "" ? other : Number(input.value));
    const isBounded = this.low.value !== "" || this.high.value !== "";
    return {
      picture: this.source.id,
      camera: this.#isLive() ? this.source.camera : "",
      center: this.center,
      marks: this.marks.map((mark) => ({ ...mark, value: Number(mark.value.replace(",", ".")) })),
      unit: this.unit.value.trim(),
      ...(isBounded ? { plausible: [bound(this.low, -1e12), bound(this.high, 1e12)] } : {}),
    };
  }

  #isLive() {
    return this.state?.cameras.some((camera) => camera.name === this.source.camera && camera.alive);
  }

  async #work(work, onError = () => {}) {
    if (this.isBusy) return;
    this.isBusy = true;
    fill(this.note, h("p", { className: "help", role: "status" }, "Working …"));
    this.#update();
    try {
      await work();
      fill(this.note);
    } catch (error) {
      fill(this.note, errorLine(error));
      onError(error);
    }
    this.isBusy = false;
    this.#update();
  }

  #update() {
    const isPlaced = this.center && this.marks.length >= 2;
    const isValued = isPlaced && this.marks.every((mark) => mark.value.trim() !== "" && Number.isFinite(Number(mark.value.replace(",", "."))));
    const done = [this.source, isValued, isValued && this.unit.value, this.trial && this.trial.spread !== null, this.saved];
    const active = done.findIndex((isDone) => !isDone);
    this.steps.forEach((element, index) => {
      element.dataset.done = String(Boolean(done[index]));
      element.dataset.active = String(index === active);
    });
    at("propose").disabled = !this.source || this.isBusy;
    at("try").disabled = at("save").disabled = !isValued || this.isBusy;
    this.centerText.textContent = this.center ? `Pivot at ${this.center.map((value) => value.toFixed(1)).join(", ")}` : this.source ? "Click the needle's pivot." : "";
    this.#showMarks();
    this.#showTrial();
    this.picture?.refresh();
  }

  #showMarks() {
    const row = (mark, index) => h("li", {},
      h("input", { type: "text", inputMode: "decimal", value: mark.value, placeholder: "value", "aria-label": `value of mark ${index + 1}`, "data-key": `mark-${index}`, oninput: (event) => { mark.value = event.target.value; this.trial = null; this.#afterValue(); } }),
      `${mark.x_px.toFixed(1)}, ${mark.y_px.toFixed(1)}`,
      h("button", { type: "button", className: "quiet", "aria-label": `remove mark ${index + 1}`, onclick: () => { this.marks.splice(index, 1); this.trial = null; this.#update(); } }, "✕"));
    fill(this.markList, this.marks.map(row));
  }

  /** A value was typed: everything but the list itself, which holds the cursor. */
  #afterValue() {
    const { markList } = this;
    this.markList = document.createElement("ul");
    this.#update();
    this.markList = markList;
  }

  #showTrial() {
    if (!this.trial) {
      fill(this.result);
      return;
    }
    const { reading, readings, spread, refused, source } = this.trial;
    const here = reading.value === null ? reasonText(reading.reason) : `${number(reading.value)} ${reading.unit}`;
    const apart = spread === null ? "none was read" : `${number(spread, 2)} ${reading.unit} apart`;
    fill(this.result,
      h("p", {}, "On this picture ", h("strong", { id: "trial-value" }, here), `. ${readings.length} ${source === "picture" ? "slightly changed copies of it" : `frames of ${source}`}: `, h("strong", { id: "trial-spread" }, apart), refused ? `, ${refused} refused` : "", "."),
      h("ul", { className: "dots" }, readings.map((one) => h("li", { className: one.value === null ? "none" : "" }, one.value === null ? reasonText(one.reason) : number(one.value)))));
  }

  #paint(context, view) {
    const place = (x, y) => [view.x + x * view.scale, view.y + y * view.scale];
    const tip = this.trial?.reading.geometry?.needle_tip;
    if (this.center && tip) {
      const [[x0, y0], [x1, y1]] = [place(...this.center), place(...tip)];
      context.lineWidth = 3;
      context.strokeStyle = "#ff5a1f";
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(x1, y1);
      context.stroke();
    }
    this.marks.forEach((mark) => {
      const [x, y] = place(mark.x_px, mark.y_px);
      drawPoint(context, x, y);
      const [dx, dy] = [mark.x_px - this.center[0], mark.y_px - this.center[1]];
      const outward = 26 / (Math.hypot(dx, dy) || 1);
      drawLabel(context, x + dx * outward - 6, y + dy * outward + 5, mark.value || "value?");
    });
    if (this.center) drawCross(context, ...place(...this.center));
    if (this.cursor) drawCross(context, ...place(...this.cursor));
  }

  #zoom(factor) {
    this.picture.zoomAt(this.cursor ?? this.center ?? [this.picture.width / 2, this.picture.height / 2], factor);
  }

  #placed([x, y]) {
    if (!this.center) this.center = [x, y];
    else this.marks.push({ value: "", x_px: x, y_px: y });
    this.trial = null;
    this.#update();
    this.markList.querySelector(`[data-key="mark-${this.marks.length - 1}"]`)?.focus({ preventScroll: true });
  }

  #listen(canvas) {
    let last = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.source || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      last = { x: event.clientX, y: event.clientY, moved: 0 };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
      last.moved += Math.hypot(dx, dy);
      [last.x, last.y] = [event.clientX, event.clientY];
      if (last.moved > DRAG_PX) this.picture.panBy(dx, dy);
    });
    canvas.addEventListener("pointerup", (event) => {
      const isClick = last && last.moved <= DRAG_PX;
      last = null;
      if (isClick) this.#placed(this.picture.pixelAt(event));
    });
    canvas.addEventListener("wheel", (event) => {
      if (!this.source) return;
      event.preventDefault();
      this.picture.zoomAt(this.picture.pixelAt(event), event.deltaY < 0 ? 1.2 : 1 / 1.2);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    this.unit.addEventListener("input", () => { this.trial = null; this.#afterValue(); });
  }

  /** Arrows move a cross, Enter places it. */
  #key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (!this.source) return;
    if (steps[event.key]) {
      const step = event.altKey ? 0.5 : Math.max(1, this.picture.width / 100 / this.picture.zoom);
      const [x, y] = this.cursor ?? [this.picture.width / 2, this.picture.height / 2];
      this.cursor = [x + steps[event.key][0] * step, y + steps[event.key][1] * step];
    } else if (event.key === "+" || event.key === "-") this.#zoom(event.key === "+" ? 1.5 : 1 / 1.5);
    else if (event.key === "Enter" && this.cursor) {
      const { cursor } = this;
      this.cursor = null;
      this.#placed(cursor);
    } else return;
    event.preventDefault();
    this.picture.refresh();
  }
}

const step = (number_, title, help, ...parts) => h("section", { className: "step", "data-step": number_ }, h("h2", {}, title), h("p", { className: "help" }, help), parts);
