// Push to talk: the browser's microphone while a button is held (or between two presses), as sound over the connection.
// Where the browser gives no microphone, the button is the device's own.

const TAP_MS = 350; // a shorter press latches: speak, then press again
const LEAST_MS = 250; // of sound; less is no question
const TAIL_S = 0.15;
const LONGEST_MS = 30000;
const WARM_MS = 15000; // the microphone stays open that long, so that a follow-up loses no word
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };

/** Events: "state" {state}, "level" {peak}, "trouble" {key}. States: idle, opening, listening, latched, sending. */
export class Talk extends EventTarget {
  #link;
  #context = null;
  #stream = null;
  #source = null;
  #tap = null;
  #closer = 0;
  #limit = 0;
  #pressedAt = 0;
  #sent = 0; // samples
  #begun = false;
  #ending = false;
  state = "idle";
  where = "here"; // or "device"
  why = ""; // a key of the page's words: why not here

  constructor(link) {
    super();
    this.#link = link;
    if (!window.isSecureContext) this.#elsewhere("mic.insecure");
    else if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) this.#elsewhere("mic.missing");
  }

  get open() {
    return this.#stream !== null;
  }

  get busy() {
    return this.state === "opening" || this.state === "listening" || this.state === "latched";
  }

  async press() {
    if (this.state === "latched") return this.#end();
    if (this.state !== "idle" && this.state !== "sending") return undefined;
    this.#pressedAt = performance.now();
    clearTimeout(this.#closer);
    if (this.where === "device") {
      if (this.#link.send("start_listening")) this.#become("listening");
      return undefined;
    }
    this.#become("opening");
    this.#ending = false;
    try {
      await this.#prepare();
    } catch (error) {
      this.#close();
      this.#become("idle");
      this.#elsewhere(error.name === "NotAllowedError" ? "mic.denied" : "mic.missing");
      return undefined;
    }
    if (this.state !== "opening") return this.#closeSoon(); // cancelled meanwhile
    this.#sent = 0;
    this.#begun = this.#link.send("talk_begin", { rate: this.#context.sampleRate });
    if (!this.#begun) return this.cancel();
    this.#tap.port.postMessage("open");
    this.#limit = setTimeout(() => this.#end(), LONGEST_MS);
    this.#become(this.#ending ? "latched" : "listening");
    return undefined;
  }

  release() {
    if (!this.busy || this.state === "latched") return;
    const tapped = performance.now() - this.#pressedAt < TAP_MS;
    if (this.where === "device") {
      if (tapped) this.#become("latched");
      else this.#end();
    } else if (this.state === "opening") this.#ending = true; // let go before it was open: taken for a tap
    else if (tapped) this.#become("latched");
    else this.#end();
  }

  /** For who cannot hold: begin, and with the next call end. */
  toggle() {
    if (this.state === "opening") return this.cancel();
    if (this.busy) return this.#end();
    this.press();
    if (this.state === "opening") this.#ending = true;
    else if (this.state === "listening") this.#become("latched");
    return undefined;
  }

  cancel() {
    clearTimeout(this.#limit);
    if (this.where === "device") {
      if (this.busy) this.#link.send("stop_listening");
    } else {
      this.#tap?.port.postMessage("close");
      if (this.#begun) this.#link.send("talk_cancel");
      this.#begun = false;
      this.#closeSoon();
    }
    this.#become("idle");
  }

  /** What was said has been understood, or was not. */
  settled() {
    if (this.state === "sending") this.#become("idle");
  }

  /** The gateway will not hear it. */
  refused() {
    this.#begun = false;
    this.cancel();
  }

  /** Close the browser's microphone now. */
  close() {
    if (this.busy) this.cancel();
    this.#close();
  }

  #end() {
    clearTimeout(this.#limit);
    if (this.where === "device") {
      this.#link.send("stop_listening");
      this.#become("idle");
    } else this.#tap.port.postMessage({ tail_s: TAIL_S });
  }

  async #prepare() {
    if (this.#stream?.getAudioTracks().some((track) => track.readyState === "live")) return;
    this.#close();
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    const [stream] = await Promise.all([
      navigator.mediaDevices.getUserMedia({ audio: SOUND }),
      this.#context.resume(),
      this.#tap ?? this.#context.audioWorklet.addModule("/static/mic-worklet.js"),
    ]);
    this.#stream = stream;
    this.#tap ??= this.#newTap();
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#tap);
    this.#tell("state", { state: this.state });
  }

  #newTap() {
    const tap = new AudioWorkletNode(this.#context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    tap.port.onmessage = ({ data }) => this.#hear(data);
    return tap;
  }

  #hear({ pcm, peak, ended }) {
    if (!this.#begun) return;
    if (pcm) {
      this.#sent += pcm.byteLength / 2;
      this.#link.sendSound(pcm);
      this.#tell("level", { peak });
    }
    if (!ended) return;
    this.#begun = false;
    this.#closeSoon();
    if ((this.#sent * 1000) / this.#context.sampleRate < LEAST_MS) {
      this.#link.send("talk_cancel");
      this.#become("idle");
      this.#tell("trouble", { key: "mic.short" });
    } else {
      this.#link.send("talk_end");
      this.#become("sending");
    }
  }

  #closeSoon() {
    clearTimeout(this.#closer);
    this.#closer = setTimeout(() => this.#close(), WARM_MS);
  }

  #close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#source?.disconnect();
    this.#stream = this.#source = null;
    this.#context?.suspend();
    this.#tell("state", { state: this.state });
  }

  #elsewhere(key) {
    [this.where, this.why] = ["device", key];
    this.#tell("trouble", { key });
  }

  #become(state) {
    this.state = state;
    this.#tell("state", { state });
  }

  #tell(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
