// How the machine stands: the figures of now, and the health of every service, device and model with what mends it.

import { byId, h } from "./dom.js";
import { get } from "./link.js";
import { called, current, t } from "./words.js";

const EVERY_MS = 30000; // health is also asked for when something changed
const SERIOUS = { failure: 3, lost: 3, degraded: 2, warning: 2, starting: 1, stopping: 1 };
const ORDER = ["microphone", "camera", "vision", "dialogue", "speaker", "gateway"];

export class Machine {
  #store;
  #checks = [];
  #trouble = "";
  #asked = 0;
  #timer = 0;
  #opened = new Set(); // groups that were opened or closed by hand
  away = true;

  constructor(store) {
    this.#store = store;
    setInterval(() => this.#due() && this.ask(), 1000);
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

  #due() {
    return !this.away && !document.hidden && Date.now() - this.#asked > EVERY_MS;
  }

  #figures() {
    const { dialogue, services } = this.#store;
    const all = Object.values(services).map((one) => one.figures ?? {});
    const of = (name) => all.map((figures) => figures[name]).filter(Number.isFinite);
    const most = (values) => (values.length ? Math.max(...values) : null);
    const rates = this.#store.records.map((record) => record.tokens_per_s).filter(Boolean);
    const memory = of("rss_mb");
    const used = dialogue.context ? dialogue.used / dialogue.context : null;
    const load = most(of("npu_load"));
    const cells = [
      ["rate", rates.length ? rates.at(-1).toFixed(1) : "–"],
      ["kv", used === null ? "–" : `${Math.round(used * 100)} %`, used, used === null ? "" : `${dialogue.used} / ${dialogue.context}`],
      ["npu", load === null ? t("figure.none") : `${Math.round(load * 100)} %`, load],
      ["temperature", unit(most([...of("npu_celsius"), ...of("celsius")]), "°C")],
      ["memory", bytes(memory.length ? memory.reduce((sum, one) => sum + one, 0) : most(of("llm_memory_mb")))],
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
      ["checks", this.#checks.map(({ check, status, fact, mend }) => ({ name: check, state: status, detail: fact, mend }))],
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
    const shown = rows.filter((row) => row.state !== "not checked").sort((a, b) => (SERIOUS[b.state] ?? 0) - (SERIOUS[a.state] ?? 0));
    const open = this.#opened.has(key) ? worst < 2 : worst >= 2;
    const summary = h(
      "summary", null,
      h("span", { class: "group-name", text: t(`health.${key}`) }),
      h("span", { class: "lights" }, ...shown.map((row) => h("span", { class: "light", "data-state": row.state, title: `${row.name}: ${word(row.state)}` }))),
    );
    summary.addEventListener("click", () => this.#opened.has(key) ? this.#opened.delete(key) : this.#opened.add(key));
    const list = h("ul", { class: "rows" }, ...(key === "checks" ? shown : (key === "services" ? rows : shown)).map(line));
    if (unchecked.length) list.append(h("li", { class: "unchecked", text: `${t("health.unchecked")}: ${[...new Set(unchecked.map((row) => row.name))].join(", ")}` }));
    return h("details", { open, class: "group" }, summary, list);
  }
}

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

function bytes(mb) {
  if (mb === null) return "–";
  return mb >= 1000 ? `${(mb / 1000).toFixed(1)} GB` : `${Math.round(mb)} MB`;
}
