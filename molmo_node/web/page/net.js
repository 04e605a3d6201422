// The WebSocket: pictures, answers and states come; what was drawn is acknowledged.

const SILENT_MS = 2000;
const RETRY_MS = [300, 600, 1200, 2500, 5000];

export class Live extends EventTarget {
  constructor() {
    super();
    this.camera = "";
    this.tries = 0;
    this.lastWordMs = performance.now();
    this.isUp = false;
    this.clockOffsetMs = Infinity; // ours minus the node's, the least that was seen
    setInterval(() => this.#check(), 250);
    this.#open();
  }

  /** The node's wall clock now. */
  now() {
    return Date.now() - (Number.isFinite(this.clockOffsetMs) ? this.clockOffsetMs : 0);
  }

  look(camera) {
    this.camera = camera;
    this.#say({ look: camera });
  }

  /** Tell that picture n was drawn: only then more come. A hidden tab draws nothing. */
  seen(n) {
    this.#say({ seen: n });
  }

  #say(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/api/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.tries = 0;
      this.lastWordMs = performance.now();
      if (this.camera) this.look(this.camera);
    };
    this.socket.onmessage = (message) => this.#take(message.data);
    this.socket.onclose = () => {
      this.#setUp(false);
      setTimeout(() => this.#open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
    };
  }

  #check() {
    if (performance.now() - this.lastWordMs > SILENT_MS) this.#setUp(false);
  }

  #setUp(isUp) {
    if (this.isUp === isUp) return;
    this.isUp = isUp;
    this.dispatchEvent(new CustomEvent("up", { detail: isUp }));
  }

  #take(data) {
    this.lastWordMs = performance.now();
    this.#setUp(true);
    if (typeof data !== "string") {
      const length = new DataView(data).getUint32(0);
      const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
      const blob = new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" });
      this.dispatchEvent(new CustomEvent("picture", { detail: { ...header, blob } }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "state") this.clockOffsetMs = Math.min(this.clockOffsetMs, Date.now() - message.at_ms);
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }
}
