// Where the time of a turn went, lane by lane, and how the time to the first sound went over the last turns.

import { byId, h, s } from "./dom.js";
import { firstSound } from "./store.js";
import { called, duration, t } from "./words.js";

const LANE = 16;
const BAR = 11;
const LABEL = 84;
const FIGURE = 58;
const TOP = 16;
const BEFORE_MS = 2500; // of speech that is shown
const AFTER_MS = 350; // of the reply's sound
const STEPS_MS = [50, 100, 250, 500, 1000, 2000, 5000, 10000, 30000];
const HISTORY = 40;

const base = (name) => name.split(" ")[0];

/** A turn's stages in ms from the end of the question, cut to what is worth showing. Pure. How long it took to say and
    to understand what was spoken here, only this page knows. */
export function lanes({ record, here }, first) {
  const ms = (at) => (at - record.asked_at) / 1e6;
  const said = here ? [{ name: "speech", begin: -here.speech, end: 0 }, { name: "asr", begin: 0, end: here.asr }] : [];
  const stages = [...said, ...record.stages.map(([name, begin, end]) => ({ name, begin: ms(begin), end: ms(end) }))].filter(
    ({ begin, end }) => end > begin,
  );
  if (stages.length === 0) return null;
  const inner = stages.filter(({ name }) => name !== "sound");
  const until = Math.max(1, first === null ? 0 : first + AFTER_MS, ...inner.map(({ end }) => end)) * 1.02;
  const since = Math.max(-BEFORE_MS, Math.min(0, ...inner.map(({ begin }) => begin)));
  return { stages, since, until, first, names: [...new Set(stages.map(({ name }) => base(name)))] };
}

/** From the end of the question to the first word that was written, ms. Pure. */
export function firstWord({ record }) {
  const begun = record.stages.find(([name]) => name === "generate");
  return begun ? (begun[1] - record.asked_at) / 1e6 : null;
}

export class Trace {
  #store;
  #chosen = ""; // of which turn; "": the last one
  #place = byId("waterfall");

  constructor(store) {
    this.#store = store;
    new ResizeObserver(() => this.draw()).observe(this.#place);
    new ResizeObserver(() => this.draw()).observe(byId("history"));
  }

  show(turn) {
    this.#chosen = turn.key;
    this.draw();
  }

  /** A new record: that is the one to show. */
  renew() {
    this.#chosen = "";
    this.draw();
  }

  draw() {
    const turns = [...this.#store.turns.values()].filter((turn) => turn.record?.stages?.length && turn.record.asked_at);
    const turn = turns.find(({ key }) => key === this.#chosen) ?? turns.at(-1);
    byId("trace-none").hidden = Boolean(turn);
    this.#head(turn);
    this.#waterfall(turn);
    this.#history([...this.#store.turns.values()].filter((one) => firstSound(one) > 0).slice(-HISTORY), turn);
  }

  #head(turn) {
    const first = turn ? firstSound(turn) : null;
    const word = turn ? firstWord(turn) : null;
    byId("trace-first").textContent = turn ? duration(first ?? word) : "";
    byId("trace-what").textContent = turn ? t(first ? "trace.first" : "trace.first.text") : "";
    byId("trace-question").textContent = turn?.question ?? "";
  }

  #waterfall(turn) {
    const width = this.#place.clientWidth;
    const plan = turn && width > 0 ? lanes(turn, firstSound(turn)) : null;
    this.#place.replaceChildren();
    if (!plan) return;
    const room = Math.max(60, width - LABEL - FIGURE);
    const x = (at) => LABEL + ((Math.min(plan.until, Math.max(plan.since, at)) - plan.since) / (plan.until - plan.since)) * room;
    const height = TOP + plan.names.length * LANE + 2;
    const told = plan.stages.map(({ name, begin, end }) => `${stageName(name)} ${duration(end - begin)}`).join(", ");
    const chart = s("svg", { class: "chart", width, height, role: "img", "aria-label": t("trace.chart", told) });
    const span = plan.until - plan.since;
    const step = STEPS_MS.find((one) => (one / span) * room >= 54) ?? 60000;
    for (let at = Math.ceil(plan.since / step) * step; at <= plan.until; at += step) {
      const label = at === 0 ? "0" : step < 1000 ? (at / 1000).toFixed(2).replace(/0$/, "") : (at / 1000).toFixed(0);
      chart.append(
        s("line", { x1: x(at), x2: x(at), y1: TOP - 2, y2: height, class: at === 0 ? "zero" : "grid" }),
        s("text", { x: x(at), y: TOP - 6, class: "axis", text: at === 0 ? "0" : `${label} s` }),
      );
    }
    if (plan.first !== null) chart.append(s("line", { x1: x(plan.first), x2: x(plan.first), y1: TOP - 2, y2: height, class: "first" }));
    plan.names.forEach((name, row) => {
      const y = TOP + row * LANE;
      chart.append(s("text", { x: 0, y: y + LANE - 5, class: "lane", text: called("stage", name) }));
      const own = plan.stages.filter((stage) => base(stage.name) === name);
      for (const stage of own) chart.append(bar(stage, x, y));
      const last = own.at(-1);
      const length = own.filter((one) => !one.name.endsWith("waits")).reduce((sum, { begin, end }) => sum + end - begin, 0);
      const right = Math.max(x(last.begin) + 2, x(last.end));
      chart.append(s("text", { x: right + 6, y: y + LANE - 5, class: "length", text: duration(length) }));
    });
    this.#place.append(chart);
  }

  #history(turns, current) {
    const place = byId("history");
    const values = turns.map(firstSound);
    place.replaceChildren();
    byId("history-title").textContent = values.length > 1 ? t("trace.history", values.length) : "";
    byId("history-median").textContent = values.length > 1 ? t("trace.median", duration(median(values))) : "";
    const width = place.clientWidth;
    if (values.length < 2 || width === 0) return;
    const height = 44;
    const top = Math.max(...values) * 1.05;
    const each = Math.min(26, width / values.length);
    const told = values.map((value) => duration(value)).join(", ");
    const chart = s("svg", { class: "chart", width, height, role: "img", "aria-label": `${t("trace.history", values.length)}: ${told}` });
    turns.forEach((turn, at) => {
      const value = firstSound(turn);
      const tall = Math.max(2, (value / top) * (height - 2));
      const shown = turn === current ? "column now" : "column";
      const column = s("rect", { class: shown, x: at * each, y: height - tall, width: Math.max(2, each - 3), height: tall, rx: 1 });
      column.append(s("title", { text: `${duration(value)}  ${turn.question}` }));
      chart.append(column);
    });
    const middle = height - (median(values) / top) * (height - 2);
    chart.append(s("line", { x1: 0, x2: Math.min(width, values.length * each), y1: middle, y2: middle, class: "median" }));
    place.append(chart);
  }
}

function bar(stage, x, y) {
  const left = x(stage.begin);
  const ahead = stage.name.endsWith(" ahead");
  const waits = stage.name.endsWith(" waits");
  const node = s("rect", {
    class: `bar stage-${base(stage.name)}${ahead ? " ahead" : ""}${waits ? " waits" : ""}`,
    x: left, y: y + (LANE - BAR) / 2, width: Math.max(2, x(stage.end) - left), height: BAR, rx: 2,
  });
  node.append(s("title", { text: `${stageName(stage.name)}: ${duration(stage.end - stage.begin)}` }));
  return node;
}

function stageName(name) {
  const rest = name.slice(base(name).length + 1);
  const own = called("stage", base(name));
  return rest ? `${own} (${rest.split(" ").map((word) => called("stage", word)).join(", ")})` : own;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
