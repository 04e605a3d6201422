// How the node is: what is wrong and the next step, processes, cameras, worker, GPUs, last words.
import { at, h, update } from "./dom.js";
import { clockTime, duration, number } from "./format.js";

const dot = (state) => h("span", { className: "dot", "data-state": state });
const GIB = 2 ** 30;

export class NodeView {
  show(state, isOpen) {
    if (!isOpen) return;
    update(at("view-node"), h("h1", {}, "The node"), problems(state), deaths(state),
      h("div", { className: "node-grid" }, processes(state), worker(state), cameras(state), gpus(state), others(state)));
  }
}

function problems({ problems: found }) {
  if (!found.length) return h("p", { className: "lede" }, dot("ready"), "Nothing is wrong.");
  return h("div", { className: "problems", id: "problems" }, found.map((one) => h("div", { className: "problem" },
    h("strong", {}, `${one.where}: ${one.what}`), one.step ? h("p", {}, `Next: ${one.step}`) : null)));
}

function table(title, heads, rows, empty) {
  if (!rows.length) return h("section", {}, h("h2", {}, title), h("p", { className: "help" }, empty));
  const head = h("thead", {}, h("tr", {}, heads.map((text) => h("th", { className: text.startsWith("#") ? "n" : "", scope: "col" }, text.replace("#", "")))));
  const cell = (value, index) => h("td", { className: heads[index].startsWith("#") ? "n" : "" }, value);
  return h("section", {}, h("h2", {}, title), h("div", { className: "wide" }, h("table", {}, head, h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell)))))));
}

function processes(state) {
  const rows = state.processes.map((one) => [
    h("span", {}, dot(one.state === "running" && !one.is_ready ? "starting" : one.state), one.name),
    one.state === "running" && !one.is_ready ? "running, not ready" : one.state, one.pid ?? "–", one.restarts,
    one.exited_ns ? `${exitText(one.exit_code)} at ${clockTime(one.exited_ns / 1e6)}` : "–",
  ]);
  return table("Processes", ["process", "state", "#pid", "#restarts", "last end"], rows, "No supervisor was heard of: the processes were started one by one.");
}

const exitText = (code) => (code === null ? "ended" : code < 0 ? `signal ${-code}` : `code ${code}`);

function deaths({ processes: all }) {
  const dead = all.filter((one) => one.exited_ns && one.lines.length);
  if (!dead.length) return null;
  return h("section", {}, h("h2", {}, "Last words"), dead.map((one) => h("details", { open: one.state !== "running" },
    h("summary", {}, `${one.name} ended with ${exitText(one.exit_code)} at ${clockTime(one.exited_ns / 1e6)}${one.reason ? `: ${one.reason}` : ""}`),
    h("pre", { className: "lines", tabIndex: 0 }, one.lines.join("\n")))));
}

function worker({ worker: one }) {
  const facts = [
    ["State", h("span", {}, dot(one.state), one.load_pct === null || one.load_pct === undefined ? one.state : `${one.state} ${Math.round(one.load_pct)} %`)],
    ["Model", one.model || "–"], ["Can", one.tasks.join(", ").replaceAll("_", " ") || "–"],
    ["Queue", one.queue_most ? h("span", {}, `${one.queue_length} of ${one.queue_most}`, meter(one.queue_length / one.queue_most)) : "–"],
    ...Object.entries(one.counters ?? {}).filter(([, value]) => value).map(([name, value]) => [name.replaceAll("_", " "), number(value, 9)]),
  ];
  if (one.detail) facts.splice(1, 0, ["Says", one.detail]);
  return h("section", {}, h("h2", {}, "Worker"), h("dl", {}, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function meter(share) {
  const bar = h("i");
  bar.style.width = `${Math.round(Math.min(1, share) * 100)}%`;
  return h("div", { className: "meter" }, bar);
}

function cameras({ cameras: all }) {
  const rows = all.map((one) => [
    h("span", {}, dot(one.alive ? "ready" : "lost"), one.name), one.alive ? one.state : "lost",
    one.width ? `${one.width} × ${one.height}` : "–", `${one.rate_hz}${one.expected_hz ? ` of ${number(one.expected_hz, 3)}` : ""}`,
    duration(one.age_ms), one.dropped + one.rejected, one.viewers, one.path.split(" ")[0],
  ]);
  return table("Cameras", ["camera", "state", "size", "#Hz", "#age", "#dropped", "#viewers", "by"], rows, "No camera is known.");
}

function gpus({ gpus: all }) {
  if (!all.length) return h("section", {}, h("h2", {}, "GPU memory"), h("p", { className: "help" }, "No NVIDIA GPU was found on the page's machine."));
  const gib = (bytes) => `${(bytes / GIB).toFixed(1)} GiB`;
  return h("section", {}, h("h2", {}, "GPU memory"), all.map((one) => h("div", {}, h("p", {}, `${one.name}: ${gib(one.used_bytes)} of ${gib(one.total_bytes)}`), meter(one.used_bytes / one.total_bytes))));
}

function others({ nodes }) {
  const rows = nodes.map((one) => [h("span", {}, dot(one.state), one.node), one.state, one.pid, `${one.silent_s.toFixed(1)} s ago`]);
  return table("Heard of", ["node", "state", "#pid", "last word"], rows, "Nobody.");
}
