// The page: which view is open, and the node's state handed to all of them.
import { AskBar } from "./ask.js";
import { at, h, update } from "./dom.js";
import { History } from "./history.js";
import { Live } from "./net.js";
import { NodeView } from "./node.js";
import { Stage } from "./stage.js";
import { Watches } from "./watches.js";
import { Wizard } from "./wizard.js";

const VIEWS = ["live", "watches", "calibrate", "node"];
const CHOSEN = "molmo_node.camera";

const live = new Live();
const stage = new Stage(live);
const askBar = new AskBar(stage);
const history = new History(askBar);
const watches = new Watches(live, stage);
const wizard = new Wizard(stage);
const node = new NodeView();
let newest = null;

function openView() {
  const name = VIEWS.includes(location.hash.slice(1)) ? location.hash.slice(1) : "live";
  for (const view of VIEWS) at(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll(".bar nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "live" ? "molmo_node" : `${name[0].toUpperCase()}${name.slice(1)} · molmo_node`;
  watches.setOpen(name === "watches");
  wizard.setOpen(name === "calibrate");
  if (newest) node.show(newest, name === "node");
}

function engineText({ state, model, load_pct: percent, queue_length: waiting }) {
  if (state === "none") return "no worker";
  if (state === "loading") return percent === null || percent === undefined ? "model is loading" : `model is loading, ${Math.round(percent)} %`;
  const name = model && model !== "none" ? model : "dials only";
  if (state === "ready") return name;
  return waiting ? `${name}: ${state}, ${waiting} waiting` : `${name}: ${state}`;
}

function showCameras(cameras) {
  const names = cameras.map((camera) => camera.name);
  if (!names.includes(stage.camera) && names.length) {
    const kept = localStorage.getItem(CHOSEN);
    stage.setCamera(names.includes(kept) ? kept : names[0]);
  }
  const choose = (name) => () => {
    localStorage.setItem(CHOSEN, name);
    stage.setCamera(name);
    if (newest) show(newest);
  };
  update(at("cameras"), cameras.map((camera) => h("button", {
    type: "button", "data-key": `camera-${camera.name}`, "data-camera": camera.name,
    "aria-pressed": String(camera.name === stage.camera), onclick: choose(camera.name),
  }, h("span", { className: "dot", "data-state": camera.alive ? "ready" : "lost" }), camera.name,
  camera.alive ? null : h("span", { className: "sr" }, " (lost)"))));
  stage.setFacts(cameras.find((camera) => camera.name === stage.camera) ?? null);
}

function show(state) {
  newest = state;
  const { worker } = state;
  at("engine").textContent = engineText(worker);
  at("engine").dataset.state = worker.state;
  askBar.setTasks(worker.tasks);
  askBar.setGauges(state.gauges);
  showCameras(state.cameras);
  const isWatched = state.watches.some((watch) => watch.stands && (watch.camera === stage.camera || (!watch.camera && state.cameras.length === 1)));
  at("follow").hidden = !isWatched;
  if (!isWatched && stage.mode === "answered") stage.setMode("live");
  history.note(state.history);
  watches.show(state);
  wizard.show(state);
  node.show(state, !at("view-node").hidden);
  at("problem-count").hidden = !state.problems.length;
  at("problem-count").textContent = state.problems.length;
}

live.addEventListener("state", (event) => show(event.detail));
live.addEventListener("up", (event) => {
  at("connection").hidden = event.detail;
  if (event.detail) return;
  at("connection").textContent = "The connection to the node is lost. Trying again …";
  at("engine").textContent = "not connected";
  at("engine").dataset.state = "lost";
});
askBar.addEventListener("watch", (event) => watches.make(event.detail));
stage.addEventListener("mode", () => {
  for (const button of at("follow").children) button.setAttribute("aria-pressed", String(button.dataset.follow === stage.mode));
});
for (const button of at("follow").children) button.addEventListener("click", () => stage.setMode(button.dataset.follow));
addEventListener("hashchange", openView);
addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && stage.mode === "pinned" && !document.querySelector("dialog[open]")) stage.backToLive();
  else if (event.key === "Escape" && stage.region) stage.setRegion(null);
  else if (event.key === "/" && !isTyping) {
    event.preventDefault();
    location.hash = "live";
    at("question").focus();
  }
});
openView();
