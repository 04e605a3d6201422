// Standing questions: make, pause, remove; their readings over hours.
import { Chart } from "./chart.js";
import { api, at, errorLine, fill, h, toast, update } from "./dom.js";
import { duration, number, questionText, short } from "./format.js";
import { PictureView } from "./picture_view.js";
import { drawAnswer } from "./overlay.js";

const SPANS = [[0.25, "15 min"], [1, "1 h"], [6, "6 h"], [24, "24 h"], [168, "7 days"]];
const REFRESH_MS = 1000;

export class Watches {
  constructor(live, stage) {
    this.live = live;
    this.stage = stage;
    this.newest = new Map(); // the last answer of each watch
    this.chosen = null;
    this.hours = 0.25;
    this.isOpen = false;
    this.state = null;
    live.addEventListener("answer", (event) => this.#take(event.detail.answer));
    setInterval(() => this.isOpen && this.#refresh(), REFRESH_MS);
  }

  setOpen(isOpen) {
    if (this.isOpen && !isOpen) this.live.look(this.stage.camera);
    this.isOpen = isOpen;
    if (isOpen && this.state) this.show(this.state);
  }

  show(state) {
    this.state = state;
    if (!this.isOpen) return;
    const { watches } = state;
    if (!watches.some((watch) => watch.name === this.chosen)) this.chosen = watches[0]?.name ?? null;
    update(at("watch-list"), watches.map((watch) => this.#item(watch)));
    if (!watches.length) {
      fill(at("watch-list"), h("li", { className: "empty" }, "No watch yet. Ask something in ", h("a", { href: "#live" }, "Live"), ", then press Watch."));
    }
    this.#showDetail();
  }

  /** Ask for rate and limits, then make the watch. */
  make(question) {
    const name = h("input", { name: "name", maxLength: 64, placeholder: "made of the question", pattern: "[a-z0-9][a-z0-9_\\-]{0,63}" });
    const rate = h("input", { name: "rate", type: "number", value: "1", min: "0.0001", max: "30", step: "any", required: true });
    const low = h("input", { name: "low", type: "number", step: "any" });
    const high = h("input", { name: "high", type: "number", step: "any" });
    const note = h("div");
    const dialog = at("watch-dialog");
    const send = async (event) => {
      event.preventDefault();
      const fields = { ...question, rate_hz: Number(rate.value), low: numberOrNull(low), high: numberOrNull(high) };
      try {
        const made = await api("/api/watches", { method: "POST", json: name.value ? { ...fields, name: name.value } : fields });
        dialog.close();
        this.chosen = made.name;
        location.hash = "watches";
      } catch (error) {
        fill(note, errorLine(error));
      }
    };
    const labelled = (text, input) => h("label", {}, text, input);
    fill(dialog, h("form", { onsubmit: send },
      h("h2", { id: "watch-dialog-title" }, "Watch"), h("p", { className: "help" }, `${questionText(question)} — camera ${question.camera || "(the only one)"}`),
      h("div", { className: "fields" }, labelled("Times a second, at most", rate), labelled("Name", name),
        h("div", { className: "pair" }, labelled("Alarm below", low), labelled("Alarm above", high)), note,
        h("div", { className: "actions end" }, h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), h("button", { className: "primary" }, "Start")))));
    dialog.showModal();
    rate.select();
  }

  #item(watch) {
    const { text, unit, tone } = this.#now(watch);
    const choose = () => {
      this.chosen = watch.name;
      this.show(this.state);
    };
    return h("li", { "data-key": watch.name }, h("button", { type: "button", "data-key": `watch-${watch.name}`, "data-watch": watch.name, "aria-current": watch.name === this.chosen ? "true" : null, onclick: choose },
      h("span", { className: "name" }, watch.name), h("span", { className: `value ${tone}` }, text, unit ? ` ${unit}` : ""),
      h("span", { className: "what" }, `${questionText(watch.question)}${watch.camera ? ` · ${watch.camera}` : ""} · ${number(watch.rate_hz, 3)} Hz${this.#standing(watch)}`)));
  }

  #standing(watch) {
    if (watch.is_paused) return " · paused";
    if (watch.fault) return ` · ${watch.fault}`;
    return watch.stands ? "" : " · not standing";
  }

  #now(watch) {
    const answer = this.newest.get(watch.name);
    if (!answer) return { text: "–", tone: "" };
    const { text, unit = "", isBad } = short(answer);
    const value = valueOf(answer);
    const tone = isBad ? "none" : value === null ? "" : watch.low !== null && value < watch.low ? "low" : watch.high !== null && value > watch.high ? "high" : watch.low !== null || watch.high !== null ? "in" : "";
    return { text: text.length > 28 ? `${text.slice(0, 27)}…` : text, unit, tone, answer };
  }

  #showDetail() {
    const watch = this.state.watches.find((one) => one.name === this.chosen);
    if (!watch) {
      fill(at("watch-detail"));
      this.built = null;
      return;
    }
    if (this.built !== watch.name) this.#build(watch);
    const { text, unit, tone, answer } = this.#now(watch);
    // Frames are only kept while they are looked at, and this one's are about to be shown.
    const camera = answer?.frame.camera || watch.camera;
    if (camera && this.live.camera !== camera) this.live.look(camera);
    fill(this.parts.now, text, unit ? h("span", { className: "unit" }, unit) : "");
    this.parts.now.className = `watch-now value ${tone}`;
    this.parts.pause.textContent = watch.is_paused ? "Go on" : "Pause";
    this.parts.pause.hidden = this.parts.remove.hidden = !watch.is_own;
    const age = answer ? duration(this.live.now() - answer.frame.stamp_ns / 1e6) : null;
    this.parts.facts.textContent = [watch.is_own ? "" : "stands by the settings file or a program", age ? `read from a picture ${age} ago` : "nothing read yet", watch.is_paused ? "paused" : ""].filter(Boolean).join(" · ");
    this.limits = { low: watch.low, high: watch.high };
  }

  #build(watch) {
    this.built = watch.name;
    const canvas = h("canvas", { tabIndex: 0, role: "img", "aria-label": "no readings yet" });
    const tip = h("p", { className: "chart-tip" });
    const seen = h("canvas", { width: 4, height: 3, role: "img", "aria-label": "the frame of the last answer" });
    const low = h("input", { type: "number", step: "any", value: watch.low ?? "", "data-key": "low" });
    const high = h("input", { type: "number", step: "any", value: watch.high ?? "", "data-key": "high" });
    const note = h("div");
    const change = (json) => api(`/api/watches/${watch.name}`, { method: "PATCH", json }).then(() => fill(note)).catch((error) => fill(note, errorLine(error)));
    const setLimits = (event) => {
      event.preventDefault();
      change({ low: numberOrNull(low), high: numberOrNull(high) }).then(() => this.#refresh());
    };
    const isPaused = () => this.state.watches.find((one) => one.name === watch.name)?.is_paused;
    const remove = () => api(`/api/watches/${watch.name}`, { method: "DELETE" }).then(() => toast(`Watch ${watch.name} removed`)).catch((error) => fill(note, errorLine(error)));
    this.parts = {
      now: h("p", { className: "watch-now" }), facts: h("p", { className: "facts" }),
      pause: h("button", { type: "button", onclick: () => change({ paused: !isPaused() }) }), remove: h("button", { type: "button", className: "danger", onclick: remove }, "Remove"),
    };
    const ranges = SPANS.map(([hours, text]) => h("button", { type: "button", "data-hours": hours, "aria-pressed": String(hours === this.hours), onclick: () => this.#setHours(hours) }, text));
    const csv = h("a", { href: `/api/watches/${watch.name}/readings.csv?hours=720`, download: `${watch.name}.csv` }, "CSV of 30 days");
    fill(at("watch-detail"),
      h("div", { className: "watch-top" }, h("div", {}, h("h2", {}, watch.name), this.parts.now, this.parts.facts), h("div", { className: "actions" }, this.parts.pause, this.parts.remove)),
      h("div", { className: "watch-top" }, h("div", { className: "tabs", role: "group", "aria-label": "Time shown" }, ranges), csv),
      h("div", { className: "card chart" }, canvas, tip),
      h("div", { className: "watch-seen" }, seen,
        h("form", { className: "limits", onsubmit: setLimits }, h("label", {}, "Alarm below", low), h("label", {}, "Alarm above", high), h("button", {}, "Set limits"), note)));
    this.ranges = ranges;
    this.seen = new PictureView(seen, (context, view) => this.seenAnswer && drawAnswer(context, view, this.seenAnswer));
    this.seenAnswer = null;
    this.chart = new Chart(canvas, (text) => { tip.textContent = text; });
    this.#refresh();
  }

  #setHours(hours) {
    this.hours = hours;
    for (const button of this.ranges) button.setAttribute("aria-pressed", String(Number(button.dataset.hours) === hours));
    this.#refresh();
  }

  async #refresh() {
    const { built } = this;
    if (!built || document.hidden) return;
    const answer = this.newest.get(built);
    if (answer && answer !== this.seenAnswer && answer.frame.camera) this.#see(answer);
    const data = await api(`/api/watches/${built}/series?hours=${this.hours}`).catch(() => null);
    if (data && built === this.built) this.chart.show(data, this.limits ?? { low: null, high: null }, answer?.reading?.unit ?? "");
  }

  /** The frame that the last answer was made from, where it is still kept. */
  async #see(answer) {
    const { built } = this;
    const bitmap = await this.stage.bitmapFor(answer.frame).catch(() => null);
    if (!bitmap) return;
    if (built !== this.built) {
      bitmap.close();
      return;
    }
    this.seenAnswer = answer;
    this.seen.show(bitmap);
  }

  #take(answer) {
    this.newest.set(answer.watch, answer);
  }
}

const numberOrNull = (input) => (input.value === "" ? null : Number(input.value));

function valueOf(answer) {
  if (answer.reading?.kind === "gauge") return answer.reading.value;
  if (answer.reading?.kind === "clock") return answer.reading.hour === null ? null : answer.reading.hour * 60 + answer.reading.minute;
  if (answer.task === "count") return answer.count;
  return answer.task === "point" ? answer.points.length : null;
}
