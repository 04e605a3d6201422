// A reading over time: mean line, lowest to highest as a band, limits, and gaps where nothing was read.
import { clockTime, number } from "./format.js";

const EDGE = { left: 56, right: 16, top: 12, bottom: 26 };
const STEPS_MS = [1e3, 5e3, 15e3, 60e3, 300e3, 900e3, 3600e3, 3 * 3600e3, 6 * 3600e3, 24 * 3600e3, 7 * 24 * 3600e3];

export class Chart {
  /** tell(text): what lies under the pointer or the cursor. */
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    this.data = { from_ms: 0, to_ms: 1, spans: [] };
    this.limits = { low: null, high: null };
    this.unit = "";
    this.cursor = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    canvas.addEventListener("pointerleave", () => this.#choose(null));
    canvas.addEventListener("keydown", (event) => this.#step(event));
  }

  show(data, limits, unit) {
    Object.assign(this, { data, limits, unit });
    if (this.cursor !== null && this.cursor >= data.spans.length) this.cursor = null;
    this.canvas.setAttribute("aria-label", this.#summary());
    this.canvas.dataset.count = data.spans.reduce((sum, span) => sum + span[4], 0);
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    this.colours = Object.fromEntries(["ink", "soft", "line", "accent", "bad"].map((name) => [name, colour(name)]));
    this.#measure(width, height);
    context.font = "12px Inter, system-ui, sans-serif";
    this.#drawGrid(context, width, height);
    this.#drawLimits(context, width);
    this.#drawReadings(context, height);
    this.#drawCursor(context);
  }

  #measure(width, height) {
    const { spans, from_ms: from, to_ms: to } = this.data;
    const values = spans.flatMap((span) => (span[1] === null ? [] : [span[2], span[3]]));
    for (const limit of [this.limits.low, this.limits.high]) if (limit !== null && values.length) values.push(limit);
    let [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const room = (high - low) * 0.12 || Math.abs(high) * 0.05 || 0.5;
    [low, high] = [low - room, high + room];
    Object.assign(this, { low, high });
    this.xOf = (ms) => EDGE.left + ((ms - from) / (to - from)) * (width - EDGE.left - EDGE.right);
    this.yOf = (value) => EDGE.top + ((high - value) / (high - low)) * (height - EDGE.top - EDGE.bottom);
  }

  #drawGrid(context, width, height) {
    const { from_ms: from, to_ms: to, spans } = this.data;
    context.strokeStyle = this.colours.line;
    context.fillStyle = this.colours.soft;
    context.lineWidth = 1;
    context.textAlign = "right";
    for (const value of spans.length ? ticks(this.low, this.high) : []) {
      const y = Math.round(this.yOf(value)) + 0.5;
      hline(context, EDGE.left, width - EDGE.right, y);
      context.fillText(number(value, 4), EDGE.left - 8, y + 4);
    }
    const most = Math.max(2, Math.floor((width - EDGE.left) / 90));
    const step = STEPS_MS.find((candidate) => (to - from) / candidate <= most) ?? STEPS_MS.at(-1);
    context.textAlign = "center";
    const shift = new Date().getTimezoneOffset() * 60_000;
    for (let ms = Math.ceil((from - shift) / step) * step + shift; ms <= to; ms += step) {
      const text = step >= 24 * 3600e3 ? new Date(ms).toLocaleDateString([], { day: "numeric", month: "short" }) : clockTime(ms, step < 60e3);
      context.fillText(text, this.xOf(ms), height - 8);
    }
    if (!spans.length) context.fillText("nothing read in this time", width / 2, height / 2);
  }

  #drawLimits(context, width) {
    for (const limit of [this.limits.low, this.limits.high]) {
      if (limit === null) continue;
      context.setLineDash([5, 4]);
      context.strokeStyle = this.colours.bad;
      hline(context, EDGE.left, width - EDGE.right, this.yOf(limit));
      context.setLineDash([]);
    }
  }

  #drawReadings(context, height) {
    const runs = this.#runs();
    context.fillStyle = this.colours.accent;
    context.globalAlpha = 0.18;
    for (const run of runs) {
      context.beginPath();
      run.forEach((span) => context.lineTo(this.xOf(span[0]), this.yOf(span[3])));
      [...run].reverse().forEach((span) => context.lineTo(this.xOf(span[0]), this.yOf(span[2])));
      context.fill();
    }
    context.globalAlpha = 1;
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    for (const run of runs) this.#drawRun(context, run);
    context.fillStyle = this.colours.bad;
    for (const [ms, , , , read, tried] of this.data.spans) {
      if (read < tried) context.fillRect(this.xOf(ms) - 1, height - EDGE.bottom - 5, 2, 5);
    }
  }

  #drawRun(context, run) {
    if (run.length === 1) {
      context.fillStyle = this.#isOut(run[0]) ? this.colours.bad : this.colours.accent;
      context.beginPath();
      context.arc(this.xOf(run[0][0]), this.yOf(run[0][1]), 2, 0, 7);
      context.fill();
    }
    for (let index = 1; index < run.length; index++) {
      const [before, span] = [run[index - 1], run[index]];
      context.strokeStyle = this.#isOut(span) ? this.colours.bad : this.colours.accent;
      context.beginPath();
      context.moveTo(this.xOf(before[0]), this.yOf(before[1]));
      context.lineTo(this.xOf(span[0]), this.yOf(span[1]));
      context.stroke();
    }
  }

  /** Spans that hang together: a line is not drawn over a time without readings. */
  #runs() {
    const read = this.data.spans.filter((span) => span[1] !== null);
    const gaps = read.slice(1).map((span, index) => span[0] - read[index][0]).sort((a, b) => a - b);
    const most = 4 * (gaps[Math.floor(gaps.length / 2)] ?? Infinity) + 1500;
    const runs = [];
    for (const span of read) {
      const last = runs.at(-1)?.at(-1);
      if (last && span[0] - last[0] <= most) runs.at(-1).push(span);
      else runs.push([span]);
    }
    return runs;
  }

  #isOut([, , lowest, highest]) {
    const { low, high } = this.limits;
    return (low !== null && lowest < low) || (high !== null && highest > high);
  }

  #drawCursor(context) {
    const span = this.data.spans[this.cursor];
    if (!span || span[1] === null) return;
    context.fillStyle = this.colours.ink;
    context.beginPath();
    context.arc(this.xOf(span[0]), this.yOf(span[1]), 4, 0, 7);
    context.fill();
  }

  #point(x) {
    const { spans } = this.data;
    let best = null;
    spans.forEach((span, index) => {
      if (best === null || Math.abs(this.xOf(span[0]) - x) < Math.abs(this.xOf(spans[best][0]) - x)) best = index;
    });
    this.#choose(best);
  }

  #step(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const { length } = this.data.spans;
    if (!step || !length) return;
    event.preventDefault();
    this.#choose(Math.max(0, Math.min(length - 1, (this.cursor ?? length) + step)));
  }

  #choose(index) {
    if (index === this.cursor) return;
    this.cursor = index;
    this.tell(index === null ? this.#summary() : this.#spanText(this.data.spans[index]));
    this.draw();
  }

  #spanText([ms, mean, low, high, read, tried]) {
    const when = `${new Date(ms).toLocaleDateString([], { day: "numeric", month: "short" })} ${clockTime(ms)}`;
    if (mean === null) return `${when}: ${tried} tried, nothing read`;
    const spread = read > 1 ? `, ${number(low)} to ${number(high)} in ${read} readings` : "";
    return `${when}: ${number(mean)} ${this.unit}${spread}`;
  }

  #summary() {
    const read = this.data.spans.filter((span) => span[1] !== null);
    if (!read.length) return "No readings in this time.";
    const [low, high] = [Math.min(...read.map((span) => span[2])), Math.max(...read.map((span) => span[3]))];
    const count = read.reduce((sum, span) => sum + span[4], 0);
    return `${count} readings, ${number(low)} to ${number(high)} ${this.unit}, last ${number(read.at(-1)[1])}.`;
  }
}

function hline(context, from, to, y) {
  context.beginPath();
  context.moveTo(from, y);
  context.lineTo(to, y);
  context.stroke();
}

/** Four to eight round values between two. */
function ticks(low, high) {
  const raw = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high; value += step) found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}
