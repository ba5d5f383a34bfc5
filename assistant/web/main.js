// Joins the parts of the page: what the gateway tells goes into the store, what changed is drawn.

import { Conversation } from "./conversation.js";
import { byId, h } from "./dom.js";
import { Eye } from "./eye.js";
import { get, Link, signedIn } from "./link.js";
import { Machine } from "./machine.js";
import { Manner } from "./manner.js";
import { Store, keyOf } from "./store.js";
import { Talk } from "./talk.js";
import { Trace } from "./trace.js";
import { Voice } from "./voice.js";
import { called, choose, current, onLanguage, t, translate } from "./words.js";

translate();
const store = new Store();
const link = new Link();
const voice = new Voice();
const talk = new Talk(link);
const eye = new Eye(store, enlarge);
const trace = new Trace(store);
const machine = new Machine(store);
const manner = new Manner(store, link, voice);
const conversation = new Conversation(store, { enlarge, show: (turn) => (trace.show(turn), view("machine"), byId("trace").focus()) });
const announced = byId("announced");
let began = 0; // when the button was pressed for the last spoken question …
let finished = 0; // … and when it ended
let silenced = null; // the turn whose sound is no longer wanted
let lost = { at: 0, timer: 0, was: false };

// --- from the gateway ---

link.addEventListener("state", ({ detail }) => {
  eye.away = machine.away = detail.state !== "open";
  if (detail.state !== "open") {
    voice.stop();
    if (talk.busy || talk.state === "sending") talk.cancel();
    manner.settle();
    machine.draw();
  }
  if (detail.state === "lost") {
    store.phase = "lost";
    lost = { ...lost, at: Date.now() + detail.wait_s * 1000, was: true, message: detail.message };
  } else if (detail.state === "signin") store.phase = "signin";
  else if (detail.state === "connecting" && !lost.was) store.phase = "connecting";
  byId("signin").hidden = detail.state !== "signin";
  byId("console").hidden = detail.state === "signin";
  if (detail.state === "signin") byId("token").focus();
  if (detail.state === "open") {
    byId("signout").hidden = !signedIn();
    if (lost.was) announce(t("banner.back"));
    lost.was = false;
    machine.ask();
    presets();
  }
  draw();
});

link.addEventListener("event", ({ detail }) => {
  const { event, data } = detail;
  if (event === "stt_text" && finished) store.said = { speech: finished - began, asr: performance.now() - finished };
  if (event === "audio") return hear(data, detail.bytes);
  const turn = store.fold(detail);
  REACTIONS[event]?.(data, turn);
  if (event === "snapshot") conversation.refresh();
  else conversation.touch(turn);
  if (!QUIET.has(event)) draw();
  return undefined;
});

const QUIET = new Set(["token", "thinking", "spoken", "audio"]); // many, and only the conversation shows them

const REACTIONS = {
  snapshot: () => (manner.settle(), trace.draw(), machine.draw()),
  stt_text: () => talk.settled(),
  turn_started(data, turn) {
    talk.settled();
    if (turn.mine) silenced = null;
  },
  dropped(data) {
    talk.settled();
    conversation.note(t("talk.dropped", data.why ?? ""));
  },
  reply(data, turn) {
    announce(turn.answer);
    if (turn.ended.reason === "interrupted" && turn.mine) voice.stop();
  },
  turn_record: () => (trace.renew(), machine.draw()),
  dialogue: () => (manner.settle("manner-persona", "manner-language", "manner-picture"), machine.draw()),
  volume: () => (manner.settle("manner-volume", "mute-speaker"), machine.draw()),
  muted: (data) => manner.settle(`mute-${data.device}`),
  microphone: () => (manner.settle("mute-microphone"), machine.changed()),
  camera: () => (manner.settle("mute-camera"), machine.changed()),
  health: () => machine.draw(),
  cleared(data) {
    conversation.note(t(data.why === "gap" ? "talk.cleared.gap" : "talk.cleared"));
    for (const turn of store.turns.values()) conversation.touch(turn);
  },
  pipeline_error: (data) => notice([data.detail ?? data.where, data.mend].filter(Boolean).join(" ")),
  error(data) {
    manner.settle();
    if (/^talk_(begin|end)$|_listening$/.test(data.command) && talk.state !== "idle") talk.refused();
    notice([data.message, data.mend].filter(Boolean).join(" "));
  },
};

function hear(data, bytes) {
  const key = data.turn ? keyOf(data.turn) : "";
  if (key && silenced === key) return;
  voice.play(key, bytes, data.rate, data.last);
}

// --- drawing ---

function draw() {
  const phase = voice.playing && store.phase === "idle" ? "speaking" : store.phase;
  document.body.dataset.phase = phase;
  byId("phase").textContent = t(`phase.${phase}`);
  eye.draw();
  manner.draw();
  banner();
  button();
  const starting = store.phase === "starting";
  byId("empty-title").textContent = t(!store.known ? "talk.loading" : starting ? "talk.starting" : "talk.empty");
  byId("empty-more").textContent = !store.known ? "" : t(starting ? "talk.starting.more" : "talk.empty.more");
  byId("empty-services").replaceChildren(...(starting ? Object.entries(store.services).map(service) : []));
  const on = link.state === "open";
  byId("send").disabled = !on;
  for (const one of byId("presets").children) one.disabled = !on;
  byId("stop").disabled = !on || !(store.pending || voice.playing || talk.busy || store.phase === "speaking");
}

function service([name, { state, detail }]) {
  const words = [called("service", name), called("state", state), detail].filter(Boolean);
  return h("li", { "data-state": state }, h("span", { class: "light", "data-state": state }), words.join(" · "));
}

function banner() {
  const bad = Object.entries(store.services).find(([, one]) => one.state === "degraded");
  const place = byId("banner");
  const key = link.state === "open" || !lost.was ? (bad && link.state === "open" ? "degraded" : "") : "lost";
  place.hidden = !key;
  place.dataset.state = key;
  byId("retry").hidden = key !== "lost";
  clearInterval(lost.timer);
  if (key === "degraded") byId("banner-text").textContent = `${t("banner.degraded", called("service", bad[0]))}: ${bad[1].detail}`;
  if (key !== "lost") return;
  const tell = () => {
    const left = Math.ceil((lost.at - Date.now()) / 1000);
    const next = link.state === "connecting" || left <= 0 ? t("banner.lost.now") : t("banner.lost.in", left);
    byId("banner-text").textContent = lost.message ? t("banner.error", lost.message) : `${t("banner.lost")} ${next}`;
  };
  tell();
  lost.timer = setInterval(tell, 1000);
}

function button() {
  const hold = byId("hold");
  const { state, where } = talk;
  const on = link.state === "open";
  const key = !on ? "away" : where === "device" ? (talk.busy ? "device.listening" : "device") : state;
  hold.dataset.state = on ? state : "away";
  hold.disabled = !on;
  byId("hold-text").textContent = t(`hold.${key}`);
  byId("hold-keys").hidden = state !== "idle" || !on;
  byId("stop-text").textContent = t(talk.busy ? "stop.cancel" : "stop.label");
  byId("mic-open").hidden = !talk.open;
  const why = byId("hold-why");
  why.hidden = !talk.why;
  why.textContent = talk.why ? t(talk.why, `https://${location.host}/`) : "";
}

function announce(text) {
  announced.textContent = "";
  announced.textContent = text;
}

let quiet = 0;

/** Something that went wrong just now. */
function notice(text) {
  const place = byId("notice");
  place.textContent = text;
  place.hidden = !text;
  clearTimeout(quiet);
  quiet = setTimeout(() => (place.hidden = true), 9000);
}

// --- what a person does ---

function stop() {
  if (talk.busy) return talk.cancel();
  voice.stop();
  const own = [...store.turns.values()].filter((turn) => turn.mine).at(-1);
  silenced = own?.key ?? null;
  link.send("stop");
  return draw();
}

/** ``how``: press, or toggle. Whoever begins to speak does not want the last answer any more. */
function speak(how) {
  voice.unlock();
  if (!talk.busy && (voice.playing || store.pending?.mine)) stop();
  talk[how]();
}

function ask(text) {
  const words = text.trim();
  if (!words) return;
  voice.unlock();
  if (!link.send("ask", { text: words })) return;
  byId("question").value = "";
  if (matchMedia("(pointer: coarse)").matches) byId("question").blur(); // its keyboard covers the answer
}

function enlarge(url) {
  byId("large").src = url;
  byId("large").alt = t("eye.answer.alt");
  byId("picture").showModal();
}

const hold = byId("hold");
hold.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  hold.setPointerCapture(event.pointerId);
  speak("press");
});
for (const kind of ["pointerup", "pointercancel"]) hold.addEventListener(kind, () => talk.release());
hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
hold.addEventListener("click", (event) => event.detail === 0 && speak("toggle")); // by an aid, not a pointer

const writes = (node) => node.closest?.("input, textarea, select, summary, a, pre, button:not(#hold)") !== null;
addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || byId("picture").open) return;
  if (event.key === "Escape") stop();
  else if (event.key === "/" && !writes(event.target)) byId("question").focus();
  else if (event.key === "Enter" && event.target === hold) !event.repeat && link.state === "open" && speak("toggle");
  else if (event.code === "Space" && !writes(event.target)) !event.repeat && link.state === "open" && speak("press");
  else return;
  event.preventDefault();
});
addEventListener("keyup", (event) => {
  if (event.code !== "Space" || writes(event.target)) return;
  event.preventDefault(); // of a button this would be a click
  talk.release();
});
addEventListener("blur", () => talk.release());
document.addEventListener("visibilitychange", () => document.hidden && talk.close());

talk.addEventListener("state", ({ detail }) => {
  if (detail.state === "opening") [began, finished] = [0, 0];
  if (detail.state === "sending") finished = performance.now();
  if (!began && talk.busy && detail.state !== "opening") began = performance.now();
  draw();
});
talk.addEventListener("level", ({ detail }) => hold.style.setProperty("--level", Math.min(1, Math.sqrt(detail.peak)).toFixed(3)));
talk.addEventListener("trouble", ({ detail }) => (detail.key === "mic.short" ? notice(t(detail.key)) : draw()));
voice.addEventListener("sounds", ({ detail }) => {
  const turn = store.turns.get(detail.turn);
  if (!turn || turn.sounded !== null || !finished) return;
  turn.sounded = detail.at - finished;
  conversation.touch(turn);
  trace.draw();
});
voice.addEventListener("state", ({ detail }) => {
  if (detail.blocked) notice(t("mic.blocked"));
  draw();
});
addEventListener("pointerdown", () => voice.playing && voice.unlock());

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(byId("question").value);
});
byId("stop").addEventListener("click", stop);
byId("signout").addEventListener("click", () => link.signOut());
byId("retry").addEventListener("click", () => link.retry());
byId("language").addEventListener("click", () => choose(current() === "en" ? "zh" : "en"));
byId("picture").addEventListener("click", () => byId("picture").close());

let sure = 0;
byId("clear").addEventListener("click", () => {
  const node = byId("clear");
  if (!sure) {
    node.textContent = t("talk.clear.sure");
    sure = setTimeout(calm, 4000);
    return;
  }
  calm();
  link.send("clear");
});

function calm() {
  clearTimeout(sure);
  sure = 0;
  byId("clear").textContent = t("talk.clear");
}

byId("signin-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = byId("token");
  const why = await link.signIn(field.value.trim());
  field.value = "";
  byId("signin-why").textContent = why ? t(why) : "";
  if (why) field.focus();
});

/** On a narrow screen one of the two views is shown. */
function view(name) {
  document.body.dataset.view = name;
  for (const tab of document.querySelectorAll("[data-tab]")) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
  if (name === "machine") trace.draw();
}
byId("health-short").addEventListener("click", () => (view("machine"), byId("health-card").scrollIntoView(), byId("health-card").focus()));
for (const tab of document.querySelectorAll("[data-tab]")) tab.addEventListener("click", () => view(tab.dataset.tab));

async function presets() {
  let questions = [];
  try {
    questions = (await get(`/presets?language=${current()}`)).questions;
  } catch {
    return; // the box for one's own question is there
  }
  const one = (text) => h("button", { type: "button", class: "preset", text, onclick: () => ask(text) });
  byId("presets").replaceChildren(...questions.map(one));
  draw();
}

onLanguage(() => {
  conversation.refresh();
  calm();
  presets();
  machine.ask();
  machine.draw();
  trace.draw();
  draw();
});

view("talk");
draw();
machine.draw();
link.connect();
