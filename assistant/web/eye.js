// What the camera sees now, and beside it the picture that the last answer used.

import { byId, h } from "./dom.js";
import { duration, t } from "./words.js";

const FPS = 5;
const STALE_MS = 3000;
const AGAIN_MS = 1000;

export class Eye {
  #store;
  #screen = byId("live");
  #choice = byId("camera-choice");
  #stream = null; // what is being streamed in
  #shown = ""; // of which camera
  #chosen = "";
  #answer = "";
  away = true; // no connection

  constructor(store, enlarge) {
    this.#store = store;
    this.#choice.addEventListener("change", () => {
      this.#chosen = this.#choice.value;
      this.draw();
    });
    byId("answer-picture").addEventListener("click", () => this.#answer && enlarge(this.#answer));
    // Nobody looks: then nothing need be encoded and sent.
    document.addEventListener("visibilitychange", () => this.draw());
    setInterval(() => this.#age(), 500);
  }

  draw() {
    this.#live();
    this.#last();
  }

  #live() {
    const cameras = Object.keys(this.#store.camera).sort();
    const name = cameras.includes(this.#chosen) ? this.#chosen : (cameras[0] ?? "");
    const { state = "", detail = "" } = this.#store.camera[name] ?? {};
    this.#choose(cameras, name);
    const runs = state === "live" && !this.away && !document.hidden;
    if (!runs || this.#shown !== name) this.#stop();
    if (runs && !this.#stream) this.#start(name);
    this.#screen.dataset.state = this.away ? "away" : state || "none";
    byId("live-name").textContent = cameras.length > 1 ? "" : name;
    const told = this.away ? t("eye.away") : { live: "", starting: t("eye.starting"), muted: t("eye.muted"), lost: t("eye.lost") }[state];
    byId("live-why").textContent = told ?? t(this.#store.known ? "eye.none" : "eye.starting");
    byId("live-more").textContent = this.away ? "" : state === "muted" ? t("eye.muted.more") : state === "live" ? "" : detail;
  }

  #choose(cameras, name) {
    this.#choice.hidden = cameras.length < 2;
    if (this.#choice.dataset.of !== cameras.join()) {
      this.#choice.dataset.of = cameras.join();
      this.#choice.replaceChildren(...cameras.map((one) => h("option", { value: one, text: one })));
    }
    this.#choice.value = name;
  }

  #start(name) {
    const canvas = h("canvas", { class: "stream", role: "img", "aria-label": t("eye.alt", name) });
    const own = (this.#stream = { canvas, stop: new AbortController(), at: performance.now() });
    this.#shown = name;
    this.#screen.prepend(canvas);
    this.#read(name, own)
      .catch(() => null) // what is the matter the daemon tells by itself
      .finally(() => setTimeout(() => this.#stream === own && (this.#stop(), this.draw()), AGAIN_MS));
  }

  /** Unlike an img, this knows when each picture came: one that is old must not pass for what is seen now. */
  async #read(name, own) {
    const query = new URLSearchParams({ camera: name, fps: FPS });
    const answer = await fetch(`/api/v1/stream.mjpg?${query}`, { signal: own.stop.signal, cache: "no-store" });
    if (!answer.ok) return;
    const reader = answer.body.getReader();
    let held = new Uint8Array(0);
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held = joined(held, value);
      for (let part = cut(held); part; part = cut(held)) {
        held = held.subarray(part.end);
        await show(own, part.jpeg);
      }
    }
  }

  /** Is what is shown as live old? Then say so. */
  #age() {
    const age = this.#stream ? performance.now() - this.#stream.at : 0;
    const stale = this.#screen.dataset.state === "live" && age > STALE_MS;
    this.#screen.classList.toggle("stale", stale);
    byId("live-told").textContent = stale ? t("eye.stale", duration(Math.round(age / 1000) * 1000)) : t("eye.live");
  }

  #stop() {
    this.#stream?.stop.abort();
    this.#stream?.canvas.remove();
    [this.#stream, this.#shown] = [null, ""];
  }

  #last() {
    const turns = [...this.#store.turns.values()].reverse();
    const turn = turns.find((one) => one.picture) ?? null;
    const picture = turn?.picture ?? null;
    const image = byId("answer-image");
    const url = picture?.url ?? "";
    if (url !== this.#answer) {
      this.#answer = url;
      image.hidden = !url;
      if (url) image.src = url;
      else image.removeAttribute("src");
      image.onerror = () => {
        image.hidden = true;
        this.#facts(picture, true);
      };
    }
    image.alt = t("eye.answer.alt");
    byId("answer-picture").disabled = !url || image.hidden;
    this.#facts(picture, Boolean(url) && image.hidden);
  }

  #facts(picture, gone) {
    const place = byId("answer-facts");
    byId("answer-none").textContent = gone ? t("eye.gone") : picture ? "" : t("eye.answer.none");
    if (!picture) return place.replaceChildren();
    const facts = [];
    const fresh = picture.fresh ?? null;
    if (fresh === true) facts.push(h("span", { class: "tag", text: t("eye.fresh") }));
    if (fresh === false) facts.push(h("span", { class: "tag good", text: t("eye.verified") }));
    const { age_ms: age } = picture;
    const kind = fresh === false ? "eye.same" : "eye.taken";
    if (age > 0) facts.push(h("span", { text: t(`${kind}.before`, duration(age)) }));
    else if (age !== undefined && age !== null) facts.push(h("span", { text: t(`${kind}.after`) }));
    if (picture.region) facts.push(h("span", { text: t("eye.region", picture.region) }));
    return place.replaceChildren(...facts);
  }
}

async function show(own, jpeg) {
  const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const { canvas } = own;
  if (canvas.width !== picture.width || canvas.height !== picture.height) [canvas.width, canvas.height] = [picture.width, picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  own.at = performance.now();
  canvas.dataset.frames = String(Number(canvas.dataset.frames ?? 0) + 1);
}

function joined(one, other) {
  if (one.length === 0) return other;
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

/** The first whole part of a multipart stream: its picture, and where it ends. Null: not all of it is here. */
function cut(held) {
  const text = new TextDecoder("latin1").decode(held.subarray(0, 400));
  const head = /^[^]*?\r\n\r\n/.exec(text)?.[0];
  const length = Number(/content-length: *(\d+)/i.exec(head ?? "")?.[1]);
  if (!head || !length || held.length < head.length + length) return null;
  return { jpeg: held.slice(head.length, head.length + length), end: head.length + length };
}
