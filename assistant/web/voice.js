// The reply in the browser: blocks of sound, one after the other without a gap.

const FIRST_S = 0.16; // of sound that is waited for before it begins: what comes after may take as long to arrive
const PATIENCE_MS = 120; // … but no longer than that
const AHEAD_S = 0.04;

/** Events: "state" {playing, blocked}; "sounds" {turn, at} where a turn's first block begins, as performance.now(). */
export class Voice extends EventTarget {
  #context = null;
  #gain = null;
  #waiting = []; // blocks that wait for more to come
  #timer = 0;
  #playing = new Set();
  #next = 0; // when the block after the last one begins
  #on = true;
  #told = "";

  get playing() {
    return this.#playing.size + this.#waiting.length > 0;
  }

  set on(on) {
    this.#on = on;
    if (!on) this.stop();
  }

  /** To be called where a person pressed something: before that, browsers keep pages silent. */
  unlock() {
    this.#context ??= this.#open();
    if (this.#context.state === "suspended") this.#context.resume().then(() => this.#tell());
  }

  /** ``pcm``: an ArrayBuffer of int16, mono. ``last``: no more comes of this turn. */
  play(turn, pcm, rate, last) {
    const samples = new Int16Array(pcm, 0, pcm.byteLength >> 1);
    if (this.#on && samples.length > 0) this.#waiting.push({ turn, samples, rate });
    const held = this.#waiting.reduce((sum, one) => sum + one.samples.length / one.rate, 0);
    if (this.#sounding || last || held >= FIRST_S) this.#flush();
    else if (this.#waiting.length === 1) this.#timer = setTimeout(() => this.#flush(), PATIENCE_MS);
    this.#tell();
  }

  /** Silence, now. */
  stop() {
    clearTimeout(this.#timer);
    this.#waiting = [];
    for (const source of this.#playing) {
      source.onended = null;
      source.stop();
    }
    this.#playing.clear();
    this.#next = 0;
    this.#tell();
  }

  get #sounding() {
    return this.#playing.size > 0 && this.#next > this.#context.currentTime;
  }

  #flush() {
    clearTimeout(this.#timer);
    const blocks = this.#waiting;
    this.#waiting = [];
    for (const block of blocks) this.#schedule(block);
    this.#tell();
  }

  #schedule({ turn, samples, rate }) {
    // A context of the sound's own rate joins blocks to the sample; one of another resamples each by itself, which is
    // to be heard where they meet. So a reply gets one of its rate, and a voice that changes within it does not.
    if (this.#context?.sampleRate !== rate && this.#playing.size === 0) {
      this.#context?.close();
      this.#context = this.#open(rate);
    }
    const context = this.#context;
    const buffer = context.createBuffer(1, samples.length, rate);
    const channel = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at += 1) channel[at] = samples[at] / 32768;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(this.#gain);
    const now = context.currentTime;
    if (this.#next <= now) this.#next = Math.ceil((now + AHEAD_S) * context.sampleRate) / context.sampleRate;
    const at = performance.now() + (this.#next - now) * 1000;
    source.start(this.#next);
    this.#next += samples.length / rate;
    this.#playing.add(source);
    source.onended = () => {
      this.#playing.delete(source);
      this.#tell();
    };
    if (context.state === "suspended") context.resume().then(() => this.#tell());
    this.dispatchEvent(new CustomEvent("sounds", { detail: { turn, at } }));
  }

  #open(rate) {
    const context = new AudioContext({ latencyHint: "interactive", ...(rate ? { sampleRate: rate } : {}) });
    this.#gain = context.createGain();
    this.#gain.connect(context.destination);
    this.#next = 0;
    return context;
  }

  #tell() {
    const detail = { playing: this.playing, blocked: this.playing && this.#context?.state === "suspended" };
    const told = JSON.stringify(detail);
    if (told === this.#told) return;
    this.#told = told;
    this.dispatchEvent(new CustomEvent("state", { detail }));
  }
}
