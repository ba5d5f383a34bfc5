// Runs in the sound thread: hands on what the microphone gives as int16, 20 ms at a time, while it is asked to.

class Tap extends AudioWorkletProcessor {
  #block = new Int16Array(Math.round(sampleRate * 0.02));
  #filled = 0;
  #peak = 0;
  #left = Infinity; // samples until the end, once that was asked for
  #open = false;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data === "open") [this.#open, this.#filled, this.#peak, this.#left] = [true, 0, 0, Infinity];
      else if (data === "close") this.#open = false;
      else this.#left = Math.round(data.tail_s * sampleRate); // the end of the last word comes after the button
    };
  }

  process([input]) {
    const samples = input[0];
    if (!this.#open || !samples) return true;
    for (const sample of samples) {
      if (this.#left <= 0) return this.#end();
      this.#left -= 1;
      this.#peak = Math.max(this.#peak, Math.abs(sample));
      this.#block[this.#filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32767)));
      if (this.#filled === this.#block.length) this.#hand();
    }
    return true;
  }

  #hand() {
    const pcm = this.#block.slice(0, this.#filled).buffer;
    this.port.postMessage({ pcm, peak: this.#peak }, [pcm]);
    [this.#filled, this.#peak] = [0, 0];
  }

  #end() {
    this.#open = false;
    if (this.#filled) this.#hand();
    this.port.postMessage({ ended: true });
    return true;
  }
}

registerProcessor("tap", Tap);
