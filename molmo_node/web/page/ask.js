// The question: verb, text, region; and the answer beside the picture.
import { api, at, copyText, errorLine, fill, h, toast } from "./dom.js";
import { duration, number, questionText, short, taskName, TASK_ORDER } from "./format.js";

const HINTS = {
  point: "the red mug", count: "bolts", read_gauge: "gauge name, or empty", read_clock: "empty: any clock",
  ask: "is the valve open?", describe: "nothing to add", extract: "JSON schema, or empty",
};
const NEEDS_TEXT = new Set(["point", "count", "ask"]);
const WHAT = "What is this?";

export class AskBar extends EventTarget {
  constructor(stage) {
    super();
    this.stage = stage;
    this.tasks = [];
    this.isAsking = false;
    at("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    at("task").addEventListener("change", () => this.#noteTask());
    at("watch-button").addEventListener("click", () => this.#watch());
    stage.addEventListener("region", () => this.#showRegion());
    stage.addEventListener("click-at", (event) => this.#whatIsThis(event.detail));
  }

  setTasks(tasks) {
    const known = TASK_ORDER.filter((task) => tasks.includes(task));
    if (known.join() === this.tasks.join()) return;
    const chosen = at("task").value;
    this.tasks = known;
    fill(at("task"), known.map((task) => h("option", { value: task }, taskName(task))));
    at("task").value = known.includes(chosen) ? chosen : known[0] ?? "";
    this.#noteTask();
  }

  setGauges(names) {
    const has = [...at("gauges").children].map((option) => option.value).join();
    if (has !== names.join()) fill(at("gauges"), names.map((name) => h("option", { value: name })));
  }

  /** The question as the form stands now. */
  get question() {
    const task = at("task").value;
    const text = at("question").value.trim();
    const fields = { task, ...(this.stage.region ? { roi: this.stage.region } : {}) };
    if (task === "extract") return text ? { ...fields, schema: text } : fields;
    return task === "describe" ? fields : { ...fields, text };
  }

  #noteTask() {
    const task = at("task").value;
    const input = at("question");
    input.placeholder = HINTS[task] ?? "";
    input.disabled = task === "describe";
    if (task === "read_gauge") input.setAttribute("list", "gauges");
    else input.removeAttribute("list");
  }

  #isWhole(question) {
    if (!NEEDS_TEXT.has(question.task) || question.text) return true;
    at("question").focus();
    toast(`Say what to ${taskName(question.task).toLowerCase()}`);
    return false;
  }

  #submit() {
    const question = this.question;
    if (question.task && this.#isWhole(question)) this.ask(question);
  }

  #watch() {
    const question = this.question;
    if (question.task && this.#isWhole(question)) {
      this.dispatchEvent(new CustomEvent("watch", { detail: { ...question, camera: this.stage.camera } }));
    }
  }

  #whatIsThis({ roi }) {
    if (this.tasks.includes("ask")) this.ask({ task: "ask", text: WHAT, roi });
    else if (this.tasks.includes("describe")) this.ask({ task: "describe", roi });
    else {
      this.stage.setRegion(roi);
      at("question").focus();
      toast("This engine names nothing by itself: say what to look for here");
    }
  }

  /** Ask about the picture on the screen, which stands still until the answer is here. */
  async ask(question) {
    if (this.isAsking) {
      toast("One question at a time: the last one is being answered");
      return;
    }
    this.isAsking = true;
    const asked = this.stage.askedPicture;
    const { shown } = this.stage;
    const startMs = performance.now();
    const frame = shown && { ...shown };
    if (frame) await this.stage.pin({ frame, roi: question.roi ?? null, history: asked.history ?? null });
    if (this.stage.pinned) this.stage.pinned.note = "Looking …";
    at("ask-button").disabled = true;
    fill(at("answer"), h("p", { className: "asked" }, questionText(question)), h("p", { className: "said long" }, "Looking …"));
    try {
      const entry = await api("/api/ask", { method: "POST", json: { ...question, ...asked } });
      await this.show(entry);
      this.stage.setRegion(null);
    } catch (error) {
      if (this.stage.pinned && !this.stage.pinned.answer) this.stage.backToLive();
      fill(at("answer"), h("p", { className: "asked" }, questionText(question)), errorLine(error),
        error.waitMs ? h("p", { className: "next" }, `Try again in about ${duration(error.waitMs)}.`) : null);
    } finally {
      this.isAsking = false;
      at("ask-button").disabled = false;
      at("answer").dataset.tookMs = Math.round(performance.now() - startMs);
    }
  }

  /** Show an entry of the history: on its picture, and in words. */
  async show(entry) {
    fill(at("answer"), answerParts(entry));
    const { answer } = entry;
    const frame = answer?.frame ?? null;
    this.dispatchEvent(new CustomEvent("shown", { detail: entry.id }));
    if (entry.has_picture) {
      await this.stage.pin({ frame: frame ?? { seq: "", session: `history-${entry.id}` }, answer, roi: entry.question.roi, history: entry.id });
    }
  }

  #showRegion() {
    const { region } = this.stage;
    at("region").hidden = !region;
    if (!region) return;
    fill(at("region"), `Only in ${region.width_px} × ${region.height_px} px at ${region.x_px}, ${region.y_px}`,
      h("button", { type: "button", className: "quiet", "aria-label": "ask about the whole picture", onclick: () => this.stage.setRegion(null) }, "✕"));
  }
}

function answerParts(entry) {
  const { answer, error, question } = entry;
  const parts = [h("p", { className: "asked" }, entry.camera ? `${entry.camera}: ${questionText(question)}` : questionText(question))];
  if (error) parts.push(h("p", { className: "said why" }, error.message), error.hint ? h("p", { className: "next" }, `Next: ${error.hint}`) : null);
  else parts.push(headline(answer), ...more(answer));
  if (entry.copy) parts.push(copyRow(entry.copy));
  return parts;
}

function headline(answer) {
  const { text, unit, isBad } = short(answer);
  const className = `said${text.length > 60 ? " long" : ""}${isBad ? " why" : ""}`;
  return h("p", { className }, text || "nothing", unit ? h("span", { className: "unit" }, ` ${unit}`) : null);
}

function more(answer) {
  const { reading, timing_ms: timing, work } = answer;
  const parts = [];
  if (answer.points.length) parts.push(pointTable(answer.points));
  if (answer.text && !["ask", "describe"].includes(answer.task) && answer.task !== "extract") {
    parts.push(h("details", {}, h("summary", {}, "In the engine's words"), h("pre", {}, answer.text)));
  }
  const facts = [];
  if (reading) {
    if (reading.sigma) facts.push(["Sigma", `± ${number(reading.sigma, 2)} ${reading.unit}`]);
    facts.push(["Confidence", `${Math.round(reading.confidence * 100)} %, ${reading.status}`]);
    if (reading.method) facts.push(["Method", reading.method]);
  }
  facts.push(["Engine", answer.model || "–"], ["Time", timingText(timing)], ["Frame", `${answer.frame.camera || "picture"} ${answer.frame.seq}, ${answer.width} × ${answer.height} px`]);
  const counted = Object.entries(work).filter(([, value]) => value).map(([name, value]) => `${number(value, 6)} ${name.replaceAll("_", " ")}`);
  if (counted.length) facts.push(["Work", counted.join(", ")]);
  parts.push(h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  return parts;
}

function timingText(timing) {
  const parts = ["wait", "prepare", "prefill", "decode"].filter((name) => timing[name] >= 0.5).map((name) => `${name} ${duration(timing[name])}`);
  return `${duration(timing.total)}${parts.length ? ` (${parts.join(", ")})` : ""}`;
}

function pointTable(points) {
  const row = (point, index) => h("tr", {}, h("td", {}, index + 1), h("td", { className: "n" }, point.x_px.toFixed(1)), h("td", { className: "n" }, point.y_px.toFixed(1)), h("td", {}, point.label));
  return h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "#"), h("th", { className: "n" }, "x px"), h("th", { className: "n" }, "y px"), h("th", {}, "label"))), h("tbody", {}, points.slice(0, 60).map(row)));
}

function copyRow(copy) {
  const names = { cli: "Command", python: "Python", curl: "curl" };
  const button = ([key, name]) => h("button", { type: "button", onclick: () => copyText(copy[key], name), "data-copy": key }, name);
  return h("div", { className: "copy" }, "Copy as", Object.entries(names).map(button));
}
