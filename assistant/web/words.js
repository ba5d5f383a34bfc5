// Which language the page is in: the browser's, until its user chooses. What was chosen is kept.

import { STRINGS } from "./strings.js";

const KEPT = "assistant.language";

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function first() {
  const chosen = kept();
  if (chosen === "en" || chosen === "zh") return chosen;
  return (navigator.languages ?? [navigator.language]).some((name, place) => place === 0 && /^zh/i.test(name)) ? "zh" : "en";
}

let language = first();
const listeners = new Set();

export const current = () => language;

/** The page's words for a key, with {} filled in order. */
export function t(key, ...values) {
  const forms = STRINGS[key];
  if (forms === undefined) return key;
  return forms[language === "zh" ? 1 : 0].replace(/\{\}/g, () => String(values.shift() ?? ""));
}

/** The page's word for something that the daemon names; its own name where the page has none. */
export const called = (group, name) => (STRINGS[`${group}.${name}`] ? t(`${group}.${name}`) : String(name));

/** Put words into what index.html marks: data-t its text, data-t-label its label, data-t-hint its placeholder. */
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-hint]")) node.placeholder = t(node.dataset.tHint);
}

export function choose(wanted) {
  language = wanted;
  try {
    localStorage.setItem(KEPT, wanted);
  } catch {
    // then it is for this visit alone
  }
  translate();
  for (const listener of listeners) listener();
}

/** Called after each change of language. */
export const onLanguage = (listener) => listeners.add(listener);

/** Milliseconds as people read them. */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return "–";
  if (ms < 0) ms = 0;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60000)} min`;
}
