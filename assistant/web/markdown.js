// Markdown as models write it, made into nodes. What is not understood stays the text that it is; markup of any other
// kind is text as well, pictures are their words (none is fetched), and a link leads only to http or https.

import { h } from "./dom.js";

const DEEP = 6; // emphasis within emphasis
const MARKS = [["**", "strong"], ["__", "strong"], ["~~", "s"], ["*", "em"], ["_", "em"]];
const WORD = /[\p{L}\p{N}]/u;

export function render(text) {
  const root = document.createDocumentFragment();
  blocks(String(text).replace(/\r\n?/g, "\n").split("\n"), root, 0);
  return root;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}(#{1,6}) +(.*?)(?: +#+)? *$/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const DIVIDER = /^ *\|?(?: *:?-+:? *\|)+ *(?::?-+:?)? *$/;

function blocks(lines, parent, depth) {
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let found;
    if (line.trim() === "") at += 1;
    else if ((found = FENCE.exec(line))) at = fenced(lines, at, found[1], parent);
    else if ((found = HEADING.exec(line))) {
      // The page has its own headings; a reply's are no part of its outline.
      inline(found[2], parent.appendChild(h("p", { class: "md-heading" })), 0);
      at += 1;
    } else if (RULE.test(line)) {
      parent.append(h("hr"));
      at += 1;
    } else if (QUOTE.test(line) && depth < DEEP) {
      const inner = [];
      while (at < lines.length && QUOTE.test(lines[at])) inner.push(lines[at++].replace(QUOTE, ""));
      blocks(inner, parent.appendChild(h("blockquote")), depth + 1);
    } else if (ITEM.test(line) && depth < DEEP) at = list(lines, at, parent, depth);
    else if (line.includes("|") && at + 1 < lines.length && DIVIDER.test(lines[at + 1])) at = table(lines, at, parent);
    else at = paragraph(lines, at, parent, depth);
  }
}

function fenced(lines, at, fence, parent) {
  const inner = [];
  for (at += 1; at < lines.length; at += 1) {
    const end = lines[at].trim();
    if (end.startsWith(fence) && end.replaceAll(fence[0], "") === "") break;
    inner.push(lines[at]);
  }
  parent.append(h("pre", { tabindex: "0" }, h("code", { text: inner.join("\n") })));
  return at + 1;
}

function list(lines, at, parent, depth) {
  const [, indent, mark] = ITEM.exec(lines[at]);
  const ordered = /\d/.test(mark);
  const node = parent.appendChild(h(ordered ? "ol" : "ul", { start: ordered ? String(Number.parseInt(mark, 10)) : null }));
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length < indent.length || /\d/.test(item[2]) !== ordered) break;
    const inner = [item[3]];
    const inside = indent.length + 2;
    for (at += 1; at < lines.length; at += 1) {
      const own = lines[at].length - lines[at].trimStart().length;
      if (lines[at].trim() === "" || own < inside) break;
      inner.push(lines[at].slice(inside));
    }
    blocks(inner, node.appendChild(h("li")), depth + 1);
    if (at + 1 < lines.length && lines[at].trim() === "" && ITEM.test(lines[at + 1])) at += 1;
  }
  return at;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());

function table(lines, at, parent) {
  const row = (line, tag) => {
    const node = h("tr");
    for (const cell of cells(line)) inline(cell, node.appendChild(h(tag)), 0);
    return node;
  };
  const body = h("tbody");
  const node = h("table", null, h("thead", null, row(lines[at], "th")), body);
  for (at += 2; at < lines.length && lines[at].includes("|"); at += 1) body.append(row(lines[at], "td"));
  parent.append(h("div", { class: "md-table", tabindex: "0" }, node));
  return at;
}

function paragraph(lines, at, parent, depth) {
  const inner = [lines[at]];
  for (at += 1; at < lines.length; at += 1) {
    const line = lines[at];
    if (line.trim() === "" || FENCE.test(line) || HEADING.test(line) || QUOTE.test(line)) break;
    if (depth < DEEP && ITEM.test(line)) break;
    inner.push(line);
  }
  inline(inner.map((line) => line.trim()).join("\n"), parent.appendChild(h("p")), 0);
  return at;
}

function inline(text, parent, depth) {
  const missing = new Set(); // marks that are opened here and closed nowhere: not looked for again
  let plain = "";
  let at = 0;
  const put = (node) => {
    if (plain) parent.append(plain);
    plain = "";
    parent.append(node);
  };
  while (at < text.length) {
    const char = text[at];
    if (char === "\\" && /[!-/:-@[-`{-~]/.test(text[at + 1] ?? "")) {
      plain += text[at + 1];
      at += 2;
      continue;
    }
    if (char === "\n") {
      put(h("br"));
      at += 1;
      continue;
    }
    const step = char === "`" ? code(text, at, put, missing) : emphasis(text, at, put, missing, depth) || link(text, at, put, depth);
    if (step) at = step;
    else {
      plain += char;
      at += 1;
    }
  }
  if (plain) parent.append(plain);
}

function code(text, at, put, missing) {
  let end = at;
  while (text[end] === "`") end += 1;
  const fence = text.slice(at, end);
  const close = missing.has(fence) ? -1 : text.indexOf(fence, end);
  if (close < 0) {
    missing.add(fence);
    return 0;
  }
  put(h("code", { text: text.slice(end, close).trim() }));
  return close + fence.length;
}

function emphasis(text, at, put, missing, depth) {
  if (depth >= DEEP || !"*_~".includes(text[at])) return 0;
  for (const [mark, tag] of MARKS) {
    if (missing.has(mark) || !text.startsWith(mark, at)) continue;
    const begin = at + mark.length;
    if (!text[begin] || /\s/.test(text[begin])) continue;
    if (mark[0] === "_" && WORD.test(text[at - 1] ?? "")) continue; // within a_name_like_this
    const close = closing(text, mark, begin);
    if (close < 0) {
      missing.add(mark);
      continue;
    }
    const node = h(tag);
    inline(text.slice(begin, close), node, depth + 1);
    put(node);
    return close + mark.length;
  }
  return 0;
}

function closing(text, mark, begin) {
  for (let at = text.indexOf(mark, begin + 1); at >= 0; at = text.indexOf(mark, at + 1)) {
    if (/\s/.test(text[at - 1])) continue;
    if (mark.length === 1 && (text[at + 1] === mark || text[at - 1] === mark)) continue;
    if (mark[0] === "_" && WORD.test(text[at + mark.length] ?? "")) continue;
    return at;
  }
  return -1;
}

const LINK = /(!?)\[([^[\]\n]{0,300})\]\(([^()\s]{1,1000})(?: +"[^"\n]{0,300}")?\)/y;

function link(text, at, put, depth) {
  if ((text[at] !== "[" && text[at] !== "!") || depth >= DEEP) return 0;
  LINK.lastIndex = at;
  const found = LINK.exec(text);
  if (!found) return 0;
  const [whole, picture, words, address] = found;
  let url = null;
  try {
    url = new URL(address);
  } catch {
    // no address of its own: words alone
  }
  if (picture || !url || !/^https?:$/.test(url.protocol)) put(document.createTextNode(words));
  else {
    const node = h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" });
    inline(words, node, DEEP);
    put(node);
    if (!words.includes(url.host)) put(document.createTextNode(` (${url.host})`));
  }
  return at + whole.length;
}
