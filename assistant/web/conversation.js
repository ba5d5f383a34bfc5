// The conversation as it is written: a question, the picture that it is about, the answer streaming in.

import { byId, h, icon } from "./dom.js";
import { render } from "./markdown.js";
import { firstSound } from "./store.js";
import { firstWord } from "./trace.js";
import { called, duration, t } from "./words.js";

const NEAR = 80; // px from the end: whoever has scrolled up to read stays there

/** ``show(turn)`` is asked for a turn's timeline, ``enlarge(url, alt)`` for its picture. */
export class Conversation {
  #log = byId("log");
  #empty = byId("empty");
  #latest = byId("latest");
  #partial = h("p", { class: "partial", hidden: true });
  #views = new Map(); // key -> what is drawn of a turn
  #dirty = new Set();
  #frame = 0;
  #stay = true; // at the end, as its reader left it
  #store;
  #hooks;

  constructor(store, hooks) {
    [this.#store, this.#hooks] = [store, hooks];
    this.#log.append(this.#partial);
    this.#log.addEventListener("scroll", () => (this.#latest.hidden = this.#stay = this.#atEnd()));
    new ResizeObserver(() => this.#stay && this.#toEnd()).observe(this.#log);
    this.#latest.addEventListener("click", () => this.#toEnd("smooth"));
  }

  /** Draw that turn again, with the next picture of the screen. */
  touch(turn) {
    if (turn) this.#dirty.add(turn.key);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Draw all of it again. */
  refresh() {
    for (const view of this.#views.values()) view.node.remove();
    this.#views.clear();
    for (const turn of this.#store.turns.values()) this.touch(turn);
    this.touch();
  }

  /** A line between turns: what was not taken for a question, that the conversation was forgotten. */
  note(text) {
    if (this.#partial.previousElementSibling?.matches(".note") && this.#partial.previousElementSibling.textContent === text) return;
    for (const old of [...this.#log.querySelectorAll(".note")].slice(0, -4)) old.remove();
    this.#partial.before(h("p", { class: "note", text }));
    if (this.#stay) this.#toEnd();
  }

  #draw() {
    this.#frame = 0;
    for (const [key, view] of this.#views) {
      if (!this.#store.turns.has(key)) {
        view.node.remove();
        this.#views.delete(key);
      }
    }
    for (const key of this.#dirty) {
      const turn = this.#store.turns.get(key);
      // Of what was said here before the page was loaded anew only the figures were kept.
      if (turn && (turn.question || turn.answer)) this.#turn(turn);
    }
    this.#dirty.clear();
    this.#partial.hidden = !this.#store.partial;
    this.#partial.textContent = this.#store.partial;
    this.#empty.hidden = this.#views.size > 0 || Boolean(this.#store.partial);
    byId("clear").disabled = this.#views.size === 0;
    if (this.#stay) this.#toEnd();
    else this.#latest.hidden = false;
  }

  #turn(turn) {
    let view = this.#views.get(turn.key);
    if (!view) {
      view = this.#newView(turn);
      this.#views.set(turn.key, view);
      this.#partial.before(view.node);
    }
    view.node.classList.toggle("forgotten", Boolean(turn.forgotten));
    view.node.classList.toggle("open", !turn.ended);
    view.question.replaceChildren(h("span", { class: "aside", text: t("talk.you") }), ` ${turn.question}`);
    this.#thumbnail(view, turn);
    if (view.drawn !== turn.answer) {
      view.drawn = turn.answer;
      const told = turn.answer ? [h("span", { class: "aside", text: t("talk.it") }), render(turn.answer)] : [];
      view.answer.replaceChildren(...told);
    }
    view.wait.hidden = Boolean(turn.answer) || Boolean(turn.ended);
    view.wait.replaceChildren(...waiting(turn));
    view.meta.replaceChildren(...this.#facts(turn));
  }

  #newView(turn) {
    const view = {
      picture: h("div", { class: "thumb" }),
      question: h("p", { class: "question", dir: "auto" }),
      answer: h("div", { class: "answer", dir: "auto" }),
      wait: h("p", { class: "wait" }),
      meta: h("p", { class: "meta" }),
      drawn: null,
      shown: null,
    };
    const said = h("div", { class: "said" }, view.question, view.answer, view.wait, view.meta);
    view.node = h("article", { class: "turn", "data-turn": turn.key }, view.picture, said);
    return view;
  }

  #thumbnail(view, turn) {
    const url = turn.picture?.url ?? "";
    if (view.shown === url) return;
    view.shown = url;
    view.node.classList.toggle("sees", Boolean(url));
    view.picture.replaceChildren();
    if (!url) return;
    const image = h("img", { src: url, alt: "", loading: "lazy", width: "96", height: "72" });
    const button = h("button", { type: "button", "aria-label": t("eye.larger"), onclick: () => this.#hooks.enlarge(url) }, image);
    image.addEventListener("error", () => {
      button.remove(); // only the newest pictures are kept, and in memory alone
      view.node.classList.remove("sees");
    });
    view.picture.append(button);
  }

  #facts(turn) {
    const facts = [whence(turn, this.#store.own), clock(turn.wall)].filter(Boolean).map((text) => h("span", { text }));
    const reason = turn.ended?.reason;
    if (reason && reason !== "stop") facts.push(h("span", { class: `reason ${reason}`, text: called("reason", reason) }));
    const first = firstSound(turn);
    if (turn.record?.stages?.length) {
      const word = firstWord(turn);
      const text = first ? t("talk.first", duration(first)) : word !== null ? t("talk.first.text", duration(word)) : t("trace.title");
      const label = `${text}. ${t("talk.show")}`;
      facts.push(h("button", { type: "button", class: "link", text, "aria-label": label, onclick: () => this.#hooks.show(turn) }));
    }
    if (turn.ended?.detail && reason !== "stop") facts.push(h("span", { text: turn.ended.detail }));
    return facts;
  }

  #atEnd() {
    return this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < NEAR;
  }

  #toEnd(behavior = "instant") {
    this.#log.scrollTo({ top: this.#log.scrollHeight, behavior });
    this.#latest.hidden = this.#stay = true;
  }
}

function whence(turn, own) {
  if (turn.mine || (own && turn.conversation === own)) return turn.spoken ? t("talk.spoken") : t("talk.typed");
  if (turn.conversation === "live") return turn.spoken ? t("talk.device") : t("talk.typed");
  return t("talk.elsewhere");
}

const clock = (wall) => wall.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function waiting(turn) {
  const { progress } = turn;
  if (!progress) return [icon("dots"), t("talk.thinking")];
  const meter = h("progress", { max: String(progress.total), value: String(progress.done), "aria-label": t("talk.thinking") });
  return [meter, t("talk.prompt", progress.done, progress.total)];
}
