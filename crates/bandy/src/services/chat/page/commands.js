// What is typed with a stroke before it, and what Tab makes of half a word.

import { chat, complain, current, join, leave, open, rooms, showSearch, talkTo } from "./page.js";
import { make, show } from "./parts.js";
import * as dialogs from "./dialogs.js";

/** Name, what comes behind it, what it does; and how. */
export const COMMANDS = [
  ["join", "ROOM [PASSWORD]", "go into a room, or make it", async ([name, password]) => name && openIf(await join(name, { password }))],
  ["part", "[REASON]", "leave this room", () => current() && leave(current())],
  ["msg", "NICK [TEXT]", "talk to somebody alone", ([nick], rest) => nick && toSomebody(nick, rest(1))],
  ["me", "TEXT", "say what you do", (_, rest) => chat.say(current().to, rest(0), { manner: "action" })],
  ["nick", "NAME", "be called otherwise", ([nick]) => chat.request({ do: "nick", nick })],
  ["away", "[TEXT]", "be away", (_, rest) => chat.request({ do: "away", text: rest(0) || "away" })],
  ["back", "", "be back", () => chat.request({ do: "away" })],
  ["topic", "TEXT", "say what this room is about", (_, rest) => ask("topic", { text: rest(0) })],
  ["search", "WORDS", "find what was said", (_, rest) => showSearch(true, rest(0))],
  ["rooms", "", "find a room", () => dialogs.go()],
  ["whois", "NICK", "who is that?", ([nick]) => dialogs.whois(nick)],
  ["invite", "NICK", "invite somebody here", ([nick]) => ask("invite", { nick })],
  ["kick", "NICK [REASON]", "put somebody out", ([nick], rest) => ask("kick", { nick, reason: rest(1) })],
  ["ban", "NICK [REASON]", "keep somebody out", ([nick], rest) => ask("ban", { nick, reason: rest(1) })],
  ["unban", "NICK", "let them in again", ([nick]) => ask("unban", { nick })],
  ["mute", "NICK [MINUTES]", "keep somebody silent", ([nick, minutes]) => ask("mute", { nick, seconds: Number(minutes) ? Number(minutes) * 60 : undefined })],
  ["unmute", "NICK", "let them speak again", ([nick]) => ask("unmute", { nick })],
  ["role", "NICK ROLE", "make somebody owner, moderator, voice or none of them", ([nick, role]) => ask("role", { nick, role: role === "none" ? null : role })],
  ["help", "", "keys and commands", () => dialogs.help()],
];

const ask = (what, more) => chat.request({ do: what, room: current().key, ...more });

const openIf = (room) => room && open(room);

async function toSomebody(nick, text) {
  talkTo(nick.replace(/^@/, ""));
  if (text) await chat.say(current().to, text);
}

/** Does what a command says. */
export async function obey(line) {
  const [name, ...words] = line.trim().split(/\s+/);
  const command = COMMANDS.find(([known]) => known === name.toLowerCase());
  if (!command) return complain(`There is no command /${name}. Press ? for those that there are; // begins a message with a stroke.`);
  const rest = (skipped) => {
    let left = line.trim().slice(name.length).trimStart();
    for (let i = 0; i < skipped; i++) left = left.replace(/^\S+\s*/, "");
    return left;
  };
  await command[3](words, rest);
}

let offered = [];
let chosen = 0;
let span = null;

/** What the word before the cursor may become: Tab takes it. True where the key was for that. */
export function complete(field, list, isKey, event) {
  if (isKey) {
    if (list.hidden) {
      if (event.key !== "Tab" || event.shiftKey || !field.value) return false;
      if (!offer(field, list, 1)) return false;
      if (offered.length === 1) take(field, list);
      return true;
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : offered.length - 1)) % offered.length;
      draw(field, list);
      return true;
    }
    if (event.key === "Tab" || (event.key === "Enter" && !isWhole())) {
      take(field, list);
      return true;
    }
    if (event.key === "Escape") {
      list.hidden = true;
      return true;
    }
    return false;
  }
  // While typing only what was begun with a sign is offered: a word is a word.
  const found = before(field);
  list.hidden = true;
  if (/^[@#/]/.test(found.word)) offer(field, list, found.word.length);
  return false;
}

const isWhole = () => span && offered[chosen]?.text.trim() === span.word;

function before(field) {
  const text = field.value.slice(0, field.selectionStart);
  const word = /\S*$/.exec(text)[0];
  return { word, from: text.length - word.length, to: text.length };
}

function offer(field, list, least) {
  span = before(field);
  if (span.word.length < least) return false;
  const isFirst = span.from === 0;
  const word = span.word.toLowerCase();
  offered = candidates(isFirst).filter(({ text }) => text.toLowerCase().startsWith(word) || (!/^[@#/]/.test(word) && text.toLowerCase().startsWith(`@${word}`)));
  offered = offered.slice(0, 8);
  chosen = 0;
  list.hidden = offered.length === 0;
  if (offered.length) draw(field, list);
  return offered.length > 0;
}

function candidates(isFirst) {
  const room = current();
  const nicks = [...(room?.members.values() ?? [])].filter(({ id }) => id !== chat.you?.id).map(({ nick }) => nick);
  return [
    ...(isFirst ? COMMANDS.map(([name, takes, what]) => ({ text: `/${name}`, about: `${takes}  ${what}`.trim(), after: " " })) : []),
    ...nicks.map((nick) => ({ text: `@${nick}`, about: "", after: " " })),
    ...[...rooms.values()].filter((room) => !room.isDirect).map((room) => ({ text: `#${room.key}`, about: room.topic?.text ?? "", after: " " })),
  ];
}

function draw(field, list) {
  show(
    list,
    ...offered.map((offer, i) => {
      const line = make("li", "", make("strong", "", offer.text), make("span", "", offer.about));
      line.setAttribute("role", "option");
      line.id = `offer-${i}`;
      line.setAttribute("aria-selected", String(i === chosen));
      line.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        chosen = i;
        take(field, list);
      });
      return line;
    }),
  );
  field.setAttribute("aria-activedescendant", `offer-${chosen}`);
}

function take(field, list) {
  const { text, after } = offered[chosen];
  field.setRangeText(text + after, span.from, span.to, "end");
  field.removeAttribute("aria-activedescendant");
  list.hidden = true;
}
