// The reply in the browser: blocks of sound, one after the other without a gap.

const AHEAD_S = 0.08; // a margin for the first block: what comes after may take as long to arrive

/** Events: "state" {playing, blocked}. */
export class Voice extends EventTarget {
  #context = null;
  #gain = null;
  #playing = new Set();
  #next = 0; // when the block after the last one begins
  #on = true;

  get playing() {
    return this.#playing.size > 0;
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

  /** ``pcm``: an ArrayBuffer of int16, mono. Gives when it begins to sound, as performance.now() counts; null: never. */
  play(pcm, rate) {
    const samples = new Int16Array(pcm, 0, pcm.byteLength >> 1);
    if (!this.#on || samples.length === 0) return null;
    // A context of the sound's own rate joins blocks to the sample; one of another resamples each by itself, which is
    // to be heard where they meet. So a reply gets one of its rate, and a voice that changes within it does not.
    if (this.#context?.sampleRate !== rate && !this.playing) {
      this.#context?.close();
      this.#context = this.#open(rate);
    }
    const context = this.#context;
    const grid = context.sampleRate;
    const buffer = context.createBuffer(1, samples.length, rate);
    const channel = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at += 1) channel[at] = samples[at] / 32768;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(this.#gain);
    if (this.#next < context.currentTime) this.#next = Math.ceil((context.currentTime + AHEAD_S) * grid) / grid;
    source.start(this.#next);
    this.#next += samples.length / rate;
    this.#playing.add(source);
    source.onended = () => {
      this.#playing.delete(source);
      if (!this.playing) this.#tell();
    };
    if (context.state === "suspended") context.resume().then(() => this.#tell());
    this.#tell();
    return performance.now() + (this.#next - samples.length / rate - context.currentTime) * 1000;
  }

  /** Silence, now. */
  stop() {
    for (const source of this.#playing) {
      source.onended = null;
      source.stop();
    }
    this.#playing.clear();
    this.#next = 0;
    this.#tell();
  }

  #open(rate) {
    const context = new AudioContext({ latencyHint: "interactive", ...(rate ? { sampleRate: rate } : {}) });
    this.#gain = context.createGain();
    this.#gain.connect(context.destination);
    this.#next = 0;
    return context;
  }

  #tell() {
    const blocked = this.playing && this.#context?.state === "suspended";
    this.dispatchEvent(new CustomEvent("state", { detail: { playing: this.playing, blocked } }));
  }
}
