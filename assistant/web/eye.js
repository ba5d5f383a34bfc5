// What the camera sees now, and beside it the picture that the last answer used.

import { byId, h } from "./dom.js";
import { duration, t } from "./words.js";

const FPS = 5;

export class Eye {
  #store;
  #screen = byId("live");
  #choice = byId("camera-choice");
  #stream = null; // the picture that is being streamed in
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
    const query = new URLSearchParams({ camera: name, fps: FPS });
    this.#stream = h("img", { alt: t("eye.alt", name), class: "stream", src: `/api/v1/stream.mjpg?${query}` });
    this.#shown = name;
    const own = this.#stream;
    // A stream that ends is asked for again when the camera or the connection is back: both are told of.
    own.addEventListener("error", () => own === this.#stream && this.#stop());
    this.#screen.prepend(own);
  }

  #stop() {
    if (!this.#stream) return;
    this.#stream.removeAttribute("src"); // else the browser goes on loading it
    this.#stream.remove();
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
    if (fresh === false) facts.push(h("span", { class: "tag good", text: t("eye.verified"), title: t("eye.verified.more") }));
    const age = picture.age_ms;
    if (age > 0) facts.push(h("span", { text: t("eye.age", duration(age)) }));
    else if (age !== undefined && age !== null) facts.push(h("span", { text: t("eye.age.now") }));
    if (fresh === false) facts.push(h("span", { text: t("eye.verified.more") }));
    if (picture.region) facts.push(h("span", { text: t("eye.region", picture.region) }));
    return place.replaceChildren(...facts);
  }
}
