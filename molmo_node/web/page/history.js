// What was asked before, newest first, with small pictures.
import { api, at, h, update } from "./dom.js";
import { clockTime, questionText, short } from "./format.js";

export class History {
  constructor(askBar) {
    this.askBar = askBar;
    this.revision = -1;
    this.current = null;
    askBar.addEventListener("shown", (event) => { this.current = event.detail; this.#mark(); });
    at("clear-history").addEventListener("click", () => api("/api/history", { method: "DELETE" }).catch(() => {}));
  }

  async note(revision) {
    if (revision === this.revision) return;
    this.revision = revision;
    const entries = await api("/api/history").catch(() => []);
    if (revision !== this.revision) return; // a newer list is on its way
    at("clear-history").hidden = !entries.length;
    update(at("history"), entries.map((entry) => this.#item(entry)));
    if (!entries.length) update(at("history"), h("li", { className: "help" }, "Nothing yet. Point at something."));
    this.#mark();
  }

  #item(entry) {
    const said = entry.error ? { text: entry.error.message, isBad: true } : short(entry.answer);
    return h("li", { "data-key": `entry-${entry.id}` }, h("button", { type: "button", "data-key": `history-${entry.id}`, "data-id": entry.id, onclick: () => this.askBar.show(entry) },
      h("img", { src: `/api/history/${entry.id}/thumb.jpg`, alt: "", loading: "lazy", width: 70, height: 53 }),
      h("span", {}, h("span", { className: "q" }, `${questionText(entry.question)}`),
        h("span", { className: said.isBad ? "a bad" : "a" }, said.unit ? `${said.text} ${said.unit}` : said.text),
        h("span", { className: "q" }, clockTime(entry.at_ms)))));
  }

  #mark() {
    for (const button of at("history").querySelectorAll("button")) {
      if (Number(button.dataset.id) === this.current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }
}
