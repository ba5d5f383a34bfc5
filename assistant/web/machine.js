// How the machine stands: the figures of now, and the health of every service, device and model with what mends it.

import { byId, h } from "./dom.js";
import { get } from "./link.js";
import { called, current, t } from "./words.js";

const EVERY_MS = 30000; // health is also asked for when something changed
const MEASURE_MS = 5000;
const SERIOUS = { failure: 3, lost: 3, silent: 3, absent: 2, degraded: 2, warning: 2, starting: 1, stopping: 1 };
const ORDER = ["microphone", "camera", "vision", "dialogue", "speaker", "gateway"];

export class Machine {
  #store;
  #checks = [];
  #trouble = "";
  #asked = 0;
  #measured = 0;
  #metrics = new Map(); // name -> values
  #timer = 0;
  #opened = new Set(); // groups that were opened or closed by hand
  away = true;

  constructor(store) {
    this.#store = store;
    setInterval(() => {
      if (this.away || document.hidden) return;
      if (Date.now() - this.#asked > EVERY_MS) this.ask();
      if (Date.now() - this.#measured > MEASURE_MS) this.#measure();
    }, 1000);
  }

  /** Ask for the health anew, soon: several changes at once are one question. */
  changed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.ask(), 400);
  }

  async ask() {
    if (this.away) return;
    this.#asked = Date.now();
    try {
      const told = await get(`/health?language=${current()}`);
      this.#checks = told.checks ?? [];
      this.#trouble = "";
    } catch (error) {
      this.#trouble = t("health.failed", error.message);
    }
    this.draw();
  }

  draw() {
    this.#figures();
    this.#health();
  }

  async #measure() {
    this.#measured = Date.now();
    try {
      const answer = await fetch("/metrics", { cache: "no-store", headers: { Accept: "text/plain" } });
      if (answer.ok) this.#metrics = metrics(await answer.text());
    } catch {
      return; // the connection says so
    }
    this.#figures();
  }

  #figures() {
    const { dialogue } = this.#store;
    const of = (name) => this.#metrics.get(`assistant_${name}`) ?? [];
    const most = (name) => (of(name).length ? Math.max(...of(name)) : null);
    const rates = this.#store.records.map((record) => record.tokens_per_s).filter(Boolean);
    const memory = of("process_resident_memory_bytes");
    const last = this.#store.records.at(-1);
    const filled = last && last.turn.conversation !== "live" ? last.prompt_tokens + last.completion_tokens : dialogue.used;
    const used = dialogue.context ? filled / dialogue.context : null;
    const load = most("npu_load_ratio");
    const cells = [
      ["rate", rates.length ? rates.at(-1).toFixed(1) : "–"],
      ["kv", used === null ? "–" : `${Math.round(used * 100)} %`, used, used === null ? "" : `${filled} / ${dialogue.context}`],
      ["npu", load === null ? t("figure.none") : `${Math.round(load * 100)} %`, load],
      ["temperature", unit(most("npu_temperature_celsius"), "°C")],
      ["memory", bytes(memory.length ? memory.reduce((sum, one) => sum + one, 0) : null)],
      ["model", dialogue.model || t("figure.none")],
    ];
    byId("figures").replaceChildren(...cells.map(([key, value, share, more]) => cell(key, value, share ?? null, more)));
  }

  #health() {
    const state = this.#store;
    const services = Object.entries(state.services).sort(([a], [b]) => ORDER.indexOf(a) - ORDER.indexOf(b));
    const groups = [
      ["services", services.map(([name, one]) => ({ name: called("service", name), ...one }))],
      ["devices", devices(state)],
      ["models", checks(this.#checks.filter(({ group }) => group === "models"))],
      ["checks", checks(this.#checks.filter(({ group }) => group !== "models"))],
    ];
    const rows = groups.flatMap(([, some]) => some);
    const bad = rows.filter((row) => SERIOUS[row.state] >= 2).length;
    const summary = byId("health-summary");
    summary.textContent = bad ? t("health.trouble", bad) : rows.length ? t("health.well") : t("health.loading");
    summary.dataset.state = bad ? "warning" : "ok";
    const short = byId("health-short");
    [short.textContent, short.hidden, short.dataset.state] = [summary.textContent, !rows.length || this.away, summary.dataset.state];
    byId("health-trouble").textContent = this.#trouble;
    byId("health").replaceChildren(...groups.filter(([, some]) => some.length).map(([key, some]) => this.#group(key, some)));
  }

  #group(key, rows) {
    const worst = Math.max(...rows.map((row) => SERIOUS[row.state] ?? 0));
    const unchecked = rows.filter((row) => row.state === "not checked");
    const sure = rows.filter((row) => row.state !== "not checked");
    const shown = key === "services" ? sure : sure.sort((a, b) => (SERIOUS[b.state] ?? 0) - (SERIOUS[a.state] ?? 0));
    const open = this.#opened.has(key) ? worst < 2 : worst >= 2;
    const summary = h(
      "summary", null,
      h("span", { class: "group-name", text: t(`health.${key}`) }),
      h("span", { class: "lights" }, ...shown.map((row) => h("span", { class: "light", "data-state": row.state, title: `${row.name}: ${word(row.state)}` }))),
    );
    summary.addEventListener("click", () => this.#opened.has(key) ? this.#opened.delete(key) : this.#opened.add(key));
    const list = h("ul", { class: "rows" }, ...shown.map(line));
    if (unchecked.length) list.append(h("li", { class: "unchecked", text: `${t("health.unchecked")}: ${[...new Set(unchecked.map((row) => row.name))].join(", ")}` }));
    return h("details", { open, class: "group" }, summary, list);
  }
}

const checks = (some) => some.map(({ check, status, fact, mend }) => ({ name: check, state: status, detail: fact, mend }));

function devices({ microphone, camera, speaker }) {
  const cameras = Object.entries(camera).map(([name, one]) => ({ name: `${t("service.camera")} ${name}`, ...one }));
  const rows = [...cameras];
  if (microphone.state) rows.unshift({ name: t("microphone.on"), ...microphone });
  if (speaker.volume !== undefined) {
    rows.push({ name: t("speaker.on"), state: speaker.muted ? "muted" : "ready", detail: `${Math.round(speaker.volume * 100)} %` });
  }
  return rows;
}

const word = (state) => called("state", state);

function line({ name, state, detail, mend }) {
  const head = h("div", { class: "row-head" }, h("span", { class: "light", "data-state": state }), h("span", { class: "row-name", text: name }), h("span", { class: "row-state", text: word(state) }));
  const row = h("li", { class: "row", "data-state": state }, head);
  if (detail) row.append(h("p", { class: "row-detail", text: detail }));
  if (mend) row.append(h("p", { class: "mend" }, h("strong", { text: t("health.mend") }), ` ${mend}`));
  return row;
}

function cell(key, value, share, more = "") {
  const node = h("div", { class: `figure figure-${key}` }, h("dt", { text: t(`figure.${key}`) }), h("dd", { text: value, title: more || null }));
  if (share !== null) {
    const label = t(`figure.${key}`);
    node.append(h("meter", { min: "0", max: "1", high: "0.85", value: String(Math.min(1, share)), "aria-label": label }));
  }
  return node;
}

const unit = (value, name) => (value === null ? "–" : `${Math.round(value)} ${name}`);

/** The values of each gauge in what Prometheus is given. */
function metrics(text) {
  const found = new Map();
  for (const [, name, value] of text.matchAll(/^([a-z_]+)(?:\{[^\n]*\})? (\S+)$/gm)) {
    if (Number.isFinite(Number(value))) found.set(name, [...(found.get(name) ?? []), Number(value)]);
  }
  return found;
}

function bytes(count) {
  if (count === null) return "–";
  const mb = count / 1e6;
  return mb >= 1000 ? `${(mb / 1000).toFixed(1)} GB` : `${Math.round(mb)} MB`;
}
