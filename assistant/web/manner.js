// What a person sets: what is closed, how loud, and how it answers. A control shows what the daemon says, not what was
// asked of it: until it is confirmed, it is marked as waiting.

import { byId } from "./dom.js";
import { t } from "./words.js";

const PATIENCE_MS = 4000;
const HERE = "assistant.voice";

export class Manner {
  #store;
  #link;
  #waiting = new Map(); // control -> timer

  constructor(store, link, voice) {
    [this.#store, this.#link] = [store, link];
    for (const device of ["microphone", "camera", "speaker"]) {
      const button = byId(`mute-${device}`);
      button.addEventListener("click", () => this.#ask(button, "mute", { device, muted: !this.#muted(device) }));
    }
    for (const field of ["persona", "language", "picture"]) {
      const choice = byId(`manner-${field}`);
      choice.addEventListener("change", () => this.#ask(choice, "prefer", { [field]: choice.value }));
    }
    const volume = byId("manner-volume");
    volume.addEventListener("input", () => (byId("manner-volume-told").textContent = `${volume.value} %`));
    volume.addEventListener("change", () => this.#ask(volume, "volume", { level: Number(volume.value) / 100 }));
    const here = byId("manner-here");
    here.checked = localStorage.getItem(HERE) !== "off";
    voice.on = here.checked;
    here.addEventListener("change", () => {
      voice.on = here.checked;
      localStorage.setItem(HERE, here.checked ? "on" : "off");
    });
  }

  /** What the daemon said settles what was asked; a refusal does, too. */
  settle(...ids) {
    for (const control of this.#waiting.keys()) if (!ids.length || ids.includes(control.id)) this.#done(control);
    this.draw();
  }

  draw() {
    const { dialogue, speaker, known } = this.#store;
    const on = this.#link.state === "open";
    for (const device of ["microphone", "camera", "speaker"]) this.#switch(device, on && known);
    for (const field of ["persona", "language", "picture"]) {
      const choice = byId(`manner-${field}`);
      choice.disabled = !on || !dialogue[field];
      if (dialogue[field] && !this.#waiting.has(choice)) choice.value = dialogue[field];
    }
    const volume = byId("manner-volume");
    volume.disabled = !on || speaker.volume === undefined;
    if (speaker.volume !== undefined && !this.#waiting.has(volume) && document.activeElement?.matches(":active") !== true) {
      volume.value = String(Math.round(speaker.volume * 100));
      byId("manner-volume-told").textContent = speaker.muted ? t("speaker.off") : `${volume.value} %`;
    }
    byId("device-closed").hidden = !this.#muted("microphone");
  }

  #muted(device) {
    const { microphone, camera, speaker } = this.#store;
    if (device === "microphone") return Boolean(microphone.muted || microphone.state === "muted");
    if (device === "speaker") return Boolean(speaker.muted);
    const states = Object.values(camera).map((one) => one.state);
    return states.length > 0 && states.every((state) => state === "muted");
  }

  #switch(device, on) {
    const button = byId(`mute-${device}`);
    const muted = this.#muted(device);
    button.disabled = !on;
    button.setAttribute("aria-pressed", String(muted));
    button.setAttribute("aria-label", t(`${device}.${muted ? "back" : "turn"}`));
    button.title = t(`${device}.${muted ? "back" : "turn"}`);
    button.querySelector("use").setAttribute("href", `#icon-${device}${muted ? "-off" : ""}`);
    button.querySelector(".switch-name").textContent = t(`${device}.${muted ? "off" : "on"}`);
  }

  #ask(control, command, fields) {
    if (!this.#link.send(command, fields)) return this.draw();
    clearTimeout(this.#waiting.get(control));
    control.setAttribute("aria-busy", "true");
    this.#waiting.set(control, setTimeout(() => this.#expire(control), PATIENCE_MS));
    return undefined;
  }

  #expire(control) {
    this.#done(control);
    this.draw(); // back to what is true
  }

  #done(control) {
    clearTimeout(this.#waiting.get(control));
    this.#waiting.delete(control);
    control.removeAttribute("aria-busy");
  }
}
