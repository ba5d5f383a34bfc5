// The one connection to the gateway. It comes back by itself, waiting longer each time, and says how it stands.

const WAITS_S = [0.5, 1, 2, 4, 8, 15];
const API = "/api/v1";
const SILENT_MS = 15000; // every service tells its health every few seconds: then the connection is dead, whatever it says

/** Events: "state" {state, wait_s, message}, "event" {event, data, at, bytes}. States: connecting, open, lost, signin. */
export class Link extends EventTarget {
  #socket = null;
  #tries = 0;
  #timer = 0;
  #heardAt = 0;
  #header = null; // an audio event whose sound has not yet come
  state = "connecting";

  constructor() {
    super();
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
    addEventListener("pagehide", () => this.#drop());
    addEventListener("pageshow", (event) => event.persisted && this.connect());
    setInterval(() => this.#socket && Date.now() - this.#heardAt > SILENT_MS && this.#fail(), 3000);
  }

  /** First asked for the state: unlike a socket's refusal, its answer tells whether a token is wanted. */
  async connect() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#become("connecting");
    let answer;
    try {
      answer = await fetch(`${API}/state`, { cache: "no-store", headers: { Accept: "application/json" } });
    } catch {
      return this.#lost();
    }
    if (this.#socket || this.state !== "connecting") return;
    if (answer.status === 401) return this.#become("signin");
    if (!answer.ok) return this.#lost(answer.status >= 500 ? "" : await reason(answer));
    this.#open();
  }

  /** Do not wait any longer. */
  retry() {
    if (this.state === "lost") this.connect();
  }

  /** "": signed in; else a key of the page's words for why not. */
  async signIn(token) {
    try {
      const answer = await post("/session", { token });
      if (answer.status === 429) return "signin.busy";
      if (!answer.ok) return "signin.wrong";
    } catch {
      return "signin.failed";
    }
    this.#tries = 0;
    keep(true);
    this.connect();
    return "";
  }

  async signOut() {
    this.#drop();
    await fetch(`${API}/session`, { method: "DELETE" }).catch(() => null);
    keep(false);
    this.connect();
  }

  /** Send a command; false where there is nobody to take it. */
  send(command, fields = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify({ command, ...fields }));
    return true;
  }

  sendSound(pcm) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(pcm);
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.#socket = new WebSocket(`${scheme}//${location.host}/ws?${own()}`));
    socket.binaryType = "arraybuffer";
    this.#heardAt = Date.now();
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = () => this.#socket === socket && this.#fail();
  }

  #fail() {
    this.#drop();
    this.#lost();
  }

  #take(data) {
    this.#heardAt = Date.now();
    if (typeof data !== "string") {
      const header = this.#header;
      this.#header = null;
      if (header) this.#tell("event", { ...header, bytes: data });
      return;
    }
    const told = JSON.parse(data);
    if (told.event === "audio") this.#header = told;
    else {
      if (told.event === "snapshot") {
        this.#tries = 0;
        sessionStorage.setItem(OWN, told.data.conversation ?? "");
        this.#become("open");
      }
      this.#tell("event", told);
    }
  }

  #lost(message = "") {
    const wait_s = WAITS_S[Math.min(this.#tries++, WAITS_S.length - 1)] * (0.8 + 0.4 * Math.random());
    this.#timer = setTimeout(() => this.connect(), wait_s * 1000);
    this.#become("lost", { wait_s, message });
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = this.#header = null;
    socket?.close();
  }

  #become(state, more = {}) {
    this.state = state;
    this.#tell("state", { state, ...more });
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}

const OWN = "assistant.conversation"; // of this tab: it goes on after a reload, or when the connection comes back
const SIGNED = "assistant.signed"; // the cookie itself no script can see

/** Has somebody signed in here? */
export const signedIn = () => localStorage.getItem(SIGNED) === "yes";

const keep = (signed) => (signed ? localStorage.setItem(SIGNED, "yes") : localStorage.removeItem(SIGNED));

function own() {
  const conversation = sessionStorage.getItem(OWN);
  return conversation ? new URLSearchParams({ conversation }) : "";
}

const post = (path, body) =>
  fetch(API + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

async function reason(answer) {
  try {
    const { error } = await answer.json();
    return [error.message, error.mend].filter(Boolean).join(" ");
  } catch {
    return `HTTP ${answer.status}`;
  }
}

/** What the gateway answers to a GET, or an Error that says why not. */
export async function get(path) {
  const answer = await fetch(API + path, { cache: "no-store" });
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}
