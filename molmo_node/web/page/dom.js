// Elements, requests and small messages. Text only ever enters the page as text.

export const at = (id) => document.getElementById(id);

/** An element: properties that begin with "on" are listeners, "data" and "aria" are attributes. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace what an element holds; whoever had the focus inside keeps it, by its data-key. */
export function fill(parent, ...children) {
  const key = parent.contains(document.activeElement) && document.activeElement.dataset.key;
  parent.replaceChildren(...children.flat().filter(Boolean));
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

/**
 * Make an element hold what is given, and keep what stays: a button that is being pressed must not
 * be exchanged for its twin. Listeners stay the old ones, so what has some needs a data-key.
 */
export function update(parent, ...children) {
  const wanted = children.flat(Infinity).filter(Boolean).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  wanted.forEach((next, index) => {
    const old = parent.childNodes[index];
    if (old) morph(old, next);
    else parent.append(next);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function morph(old, next) {
  if (old.nodeName !== next.nodeName || old.dataset?.key !== next.dataset?.key) {
    old.replaceWith(next);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name, value } of [...next.attributes]) if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  update(old, [...next.childNodes]);
}

/** What a refused request says: a message, and the next step. */
export class Refused extends Error {
  constructor({ message, hint = "", code = "error", wait_ms: waitMs = null }) {
    super(message);
    Object.assign(this, { hint, code, waitMs });
  }
}

/** A request to the node; its JSON, or a Refused. */
export async function api(path, { method = "GET", json, body, type } = {}) {
  const headers = json !== undefined ? { "Content-Type": "application/json" } : type ? { "Content-Type": type } : {};
  let response;
  try {
    response = await fetch(path, { method, headers, body: json !== undefined ? JSON.stringify(json) : body });
  } catch {
    throw new Refused({ message: "the node cannot be reached", hint: "is it still running?" });
  }
  if (response.status === 204) return null;
  const found = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(found.error ?? { message: `the node answered ${response.status}` });
  return found;
}

/** The same for pictures, of a blob or an address. */
export async function bitmapOf(source) {
  if (typeof source !== "string") return createImageBitmap(source);
  const response = await fetch(source);
  if (response.status !== 200) throw new Refused({ message: "that picture is not kept any more" });
  return createImageBitmap(await response.blob());
}

let toastTimer = 0;
export function toast(text) {
  at("toast").textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { at("toast").textContent = ""; }, 2600);
}

export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // pages without TLS beyond this machine may not use the clipboard's own interface
    const area = h("textarea", { value: text, className: "sr" });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${what} copied`);
}

export const errorLine = (error) => h("p", { className: "error", role: "alert" }, error.message, error.hint ? h("span", {}, ` — ${error.hint}`) : null);
