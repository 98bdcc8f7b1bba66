// Pieces that the page is made of.

export const byId = (id) => document.getElementById(id);

/** An element with a class and content. Texts are texts, whatever is in them. */
export function make(tag, name, ...content) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...content);
  return element;
}

/** This in place of what is in there. */
export function show(element, ...content) {
  element.replaceChildren(...content);
}

/** A nick in its colour; with the first letter before it, for lists. */
export function nickSpan(nick, isInList = false) {
  let hash = 7;
  for (const c of nick.toLowerCase()) hash = (hash * 31 + c.codePointAt(0)) % 100_003;
  const name = make("bdi", `nick hue-${hash % 12}`, nick);
  if (!isInList) return name;
  const sign = make("span", `sign-of hue-${hash % 12}`, (nick[0] ?? "?").toUpperCase());
  sign.setAttribute("aria-hidden", "true");
  const both = make("span", "person", sign, name);
  return both;
}

export const clockTime = (time) => new Date(time).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const longTime = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A text with its addresses as links: nodes. Only http and https. */
export function linked(text) {
  const nodes = [];
  let at = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"'`\u0000-\u0020]+/g)) {
    // A sign at its end is the sentence's, and so is a bracket that was opened before it.
    let url = found[0].replace(/[.,;:!?]+$/, "");
    if (url.endsWith(")") && !url.includes("(")) url = url.slice(0, -1);
    if (!URL.canParse(url)) continue;
    nodes.push(text.slice(at, found.index));
    const link = make("a", "", url);
    link.href = url;
    link.target = "_blank";
    link.rel = "noopener noreferrer nofollow";
    nodes.push(link);
    at = found.index + url.length;
  }
  nodes.push(text.slice(at));
  return nodes;
}

const KEY = "bandy.chat.";

/** Keeps something for the next time; a browser may be told to keep nothing. */
export function keep(name, value, storage = localStorageOrNone()) {
  try {
    storage?.setItem(KEY + name, value);
  } catch {
    // It is asked for again then.
  }
}

export function kept(name, storage = localStorageOrNone()) {
  try {
    return storage?.getItem(KEY + name) ?? null;
  } catch {
    return null;
  }
}

export function unkeep(name, storage = localStorageOrNone()) {
  try {
    storage?.removeItem(KEY + name);
  } catch {
    // There is nothing then.
  }
}

function localStorageOrNone() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
