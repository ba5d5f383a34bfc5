// What the page knows: the gateway's events, folded. No drawing here.

const KEPT = 60; // turns
const PHASES = {
  wake_word_detected: "listening", listening: "listening", stt_text: "thinking", turn_started: "thinking",
  thinking: "thinking", tts_speaking: "speaking", idle: "idle", dropped: "idle",
};

/** From the end of a turn's question to the first sound of its answer, ms: at the device, or here. */
export const firstSound = (turn) => turn.record?.timings_ms?.first_audio ?? turn.sounded;

export const keyOf = (turn) => `${turn.conversation}|${turn.start}`;

export class Store {
  constructor() {
    this.known = false; // was there a snapshot?
    this.phase = "connecting";
    this.services = {};
    this.microphone = {};
    this.camera = {};
    this.speaker = {};
    this.dialogue = {};
    this.turns = new Map(); // key -> turn, oldest first
    this.said = null; // of what was last spoken here: {speech, asr}, ms
    this.heard = new Map(); // key of a turn that was spoken here -> the same
    this.partial = ""; // what is understood of the speech that goes on
    this.own = ""; // the conversation of this page
    this.version = "";
  }

  /** Take in an event; gives the turn that it is about, if any. */
  fold({ event, data }) {
    this.phase = this.#phase(event, data) ?? this.phase;
    const fold = FOLDS[event];
    return fold ? fold(this, data ?? {}) : undefined;
  }

  #phase(event, data) {
    if (event === "thinking" && this.phase === "speaking") return undefined;
    // What is spoken here and not at the device: whether it sounds the page knows better than the gateway.
    const here = data?.turn && data.turn.conversation === this.own;
    if (here && event === "tts_speaking") return undefined;
    if (here && event === "tts_finished") return "idle";
    return PHASES[event];
  }

  /** The turn of that name; a higher revision of it begins anew. */
  turn(named) {
    const key = keyOf(named);
    const known = this.turns.get(key);
    const revision = named.revision ?? 0;
    if (known && known.revision >= revision) return known;
    const turn = {
      key, revision, conversation: named.conversation, wall: known?.wall ?? new Date(), question: known?.question ?? "",
      spoken: known?.spoken ?? false, mine: known?.mine ?? false, answer: "", picture: null, progress: null, saying: -1,
      ended: null, usage: null, record: null, sounded: null,
      here: known?.here ?? null,
    };
    this.turns.set(key, turn);
    while (this.turns.size > KEPT) this.turns.delete(this.turns.keys().next().value);
    return turn;
  }

  get records() {
    return [...this.turns.values()].map((turn) => turn.record).filter(Boolean);
  }

  /** The newest turn that is being answered. */
  get pending() {
    return [...this.turns.values()].reverse().find((turn) => !turn.ended);
  }
}

function withRecord(store, record) {
  if (!record?.turn || (record.dropped && !record.finish_reason)) return undefined;
  const turn = store.turn(record.turn);
  if ((record.turn.revision ?? 0) < turn.revision) return turn;
  turn.record = record;
  turn.question ||= record.heard;
  turn.spoken ||= record.spoken;
  turn.answer = record.answer || turn.answer;
  turn.ended ??= { reason: record.finish_reason, detail: record.detail };
  if (record.finish_reason) turn.ended.reason = record.finish_reason; // cut short after it was written, for one
  if (record.frame_identity) {
    const { camera, region, frame_identity: identity, frame_age_ms: age_ms, picture_fresh: fresh } = record;
    const url = `/api/v1/frame.jpg?picture=${encodeURIComponent(identity)}`;
    turn.picture = { url, ...turn.picture, camera, region, identity, age_ms, fresh };
  }
  const wall = record.wall ?? record.at_wall;
  if (wall) turn.wall = new Date(typeof wall === "number" ? wall * 1000 : wall);
  return turn;
}

function withState(store, state) {
  store.phase = state.phase ?? "idle";
  for (const part of ["services", "microphone", "camera", "speaker", "dialogue"]) store[part] = { ...state[part] };
  store.version = state.version ?? "";
}

const FOLDS = {
  snapshot(store, data) {
    store.known = true;
    store.partial = "";
    store.own = data.conversation ?? "";
    withState(store, data);
    for (const record of data.turns ?? []) withRecord(store, record);
    // What was under way when the connection went, and is not any more, ended unseen.
    const now = data.turn ? keyOf(data.turn.turn ?? data.turn) : "";
    for (const turn of store.turns.values()) if (!turn.ended && turn.key !== now) turn.ended = { reason: "lost", detail: "" };
  },
  listening(store) {
    store.partial = "";
  },
  stt_partial(store, data) {
    store.partial = data.text ?? "";
  },
  stt_text(store, { turn }) {
    store.partial = "";
    if (turn?.conversation === store.own) store.heard.set(keyOf(turn), store.said);
  },
  dropped(store) {
    store.partial = "";
  },
  turn_started(store, data) {
    store.partial = "";
    const turn = store.turn(data.turn);
    Object.assign(turn, { question: data.text, spoken: data.spoken || store.heard.has(turn.key), mine: Boolean(data.mine) });
    turn.here = store.heard.get(turn.key) ?? null;
    return turn;
  },
  picture(store, data) {
    const turn = store.turn(data.turn);
    turn.picture = data;
    return turn;
  },
  thinking(store, data) {
    const turn = store.turns.get(keyOf(data.turn));
    if (turn) turn.progress = data.total ? { done: data.done, total: data.total } : null;
    return turn;
  },
  token(store, data) {
    const turn = store.turn(data.turn);
    turn.progress = null;
    turn.answer += data.text;
    return turn;
  },
  tts_speaking(store, data) {
    const turn = store.turns.get(keyOf(data.turn));
    if (turn) turn.saying = data.index;
    return turn;
  },
  reply(store, data) {
    const turn = store.turn(data.turn);
    turn.answer = data.text || turn.answer;
    turn.usage = data.usage ?? null;
    turn.progress = null;
    turn.ended = { reason: data.reason, detail: data.detail ?? "" };
    if (store.phase === "thinking") store.phase = "idle"; // if it is spoken, that is told
    return turn;
  },
  turn_record: (store, data) => withRecord(store, data.record ?? data),
  cleared(store, { conversation }) {
    for (const turn of store.turns.values()) turn.forgotten ||= turn.conversation === conversation;
  },
  muted(store, { device, muted }) {
    if (device === "microphone") store.microphone = { ...store.microphone, muted };
    else if (device === "speaker") store.speaker = { ...store.speaker, muted };
    else for (const name of Object.keys(store.camera)) store.camera[name] = { ...store.camera[name], state: muted ? "muted" : "starting" };
  },
  volume(store, data) {
    store.speaker = { ...store.speaker, ...data };
  },
  camera(store, { name, ...state }) {
    store.camera = { ...store.camera, [name]: state };
  },
  microphone(store, data) {
    store.microphone = { ...store.microphone, ...data, muted: data.state === "muted" };
  },
  dialogue(store, data) {
    store.dialogue = { ...store.dialogue, ...data };
  },
  health(store, { service, ...state }) {
    store.services = { ...store.services, [service]: state };
    const states = Object.values(store.services).map((one) => one.state);
    if (store.phase === "starting" && !states.includes("starting")) store.phase = "idle";
  },
};
