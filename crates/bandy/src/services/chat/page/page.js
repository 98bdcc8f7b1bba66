// The page: what somebody sees of the chat, and what they do in it. All text goes in as text.

import { ChatClient, Gone } from "./client.js";
import { Room, mentions, said, sorted } from "./rooms.js";
import { byId, make, nickSpan, show, clockTime, longTime, linked, keep, kept } from "./parts.js";
import * as dialogs from "./dialogs.js";
import { complete, obey } from "./commands.js";

/** Entries that come with a room, and with each step back. */
const RECENT = 80;
const OLDER = 100;
/** What one person says within so long stands under one name. Milliseconds. */
const TOGETHER = 5 * 60_000;
const TYPING_TOLD = 4_000;
const TYPING_SHOWN = 7_000;
/** Who came and who went, of the last so many, is shown between the messages. */
const NOTES = 200;

const url = new URL("ws", location.href);
url.protocol = url.protocol.replace("http", "ws");
url.hash = "";
export const chat = new ChatClient(url.href);
/** Rooms and conversations by key. */
export const rooms = new Map();
let active = null;
let isEditing = null;
let isReplying = null;
let isAtEnd = true;
let wasIn = false;

export const current = () => active;
export const isNarrow = () => matchMedia("(max-width: 760px)").matches;

// The connection.

chat.addEventListener("state", async ({ detail }) => {
  const { state, reason, code, wait } = detail;
  const texts = {
    connecting: wasIn ? "Connecting again…" : "Connecting…",
    waiting: `No connection. Trying again ${wait > 1500 ? `in ${Math.round(wait / 1000)} s` : "now"}…`,
    over: `The chat is over here${reason ? `: ${reason}` : code ? ` (${code})` : ""}. Reload to come back.`,
  };
  byId("state").textContent = texts[state] ?? "";
  document.body.dataset.state = state;
  if (state === "hello") {
    const nick = kept("nick", sessionStorage);
    chat.guestToken ??= kept("guest", sessionStorage);
    if (nick && !reason && chat.hello.guests) {
      return chat.enter({ nick }).catch((error) => dialogs.enter(error.message));
    }
    dialogs.enter(reason);
  }
  if (state === "in") await arrived();
});

async function arrived() {
  byId("me").hidden = false;
  showSelf();
  document.getElementById("enter").close();
  if (chat.you.guest) keep("nick", chat.you.nick, sessionStorage);
  // With a reload a guest stays who they are.
  if (chat.guestToken) keep("guest", chat.guestToken, sessionStorage);
  const again = wasIn;
  wasIn = true;
  if (again) return;
  const wanted = new Set([chat.hello.room ?? "lobby", ...JSON.parse(kept("rooms") ?? "[]")]);
  const asked = decodeURIComponent(location.hash.slice(1));
  if (asked && !asked.startsWith("@")) wanted.add(asked);
  for (const name of wanted) await join(name, { quietly: true });
  await unread();
  const first = rooms.get(asked.toLowerCase()) ?? rooms.get(kept("room")) ?? [...rooms.values()][0];
  if (asked.startsWith("@")) talkTo(asked.slice(1));
  else if (first) open(first);
}

async function unread() {
  const { rooms: places } = await chat.request({ do: "unread" });
  for (const { room: log, epoch, nick, read: told, last } of places) {
    // How far a guest has read only their browser knows.
    const read = Math.max(told, Number(kept(`read.${log}.${epoch}`) ?? 0));
    if (log.startsWith("@")) {
      const other = nick ?? log.slice(1).split("+").find((id) => id !== chat.you.id) ?? chat.you.id;
      // A guest who is gone cannot be asked for any more, nor answer.
      if (other.startsWith("~")) continue;
      const room = direct(other);
      room.log = log;
      room.read = room.readFrom = read;
      if (last > read) await catchUp(room);
    } else if (rooms.has(log)) {
      const room = rooms.get(log);
      room.read = room.readFrom = read;
      room.count(chat.you);
    }
  }
  showLists();
}

// Rooms.

export async function join(name, { quietly = false, password } = {}) {
  try {
    const { room } = await chat.join(name, { recent: RECENT, password });
    remember();
    return rooms.get(room.name);
  } catch (error) {
    if (error.code === "wrong_password" && !quietly) {
      const given = await dialogs.ask(`${name} has a password`, [{ name: "password", label: "Password", type: "password" }], "Go in");
      return given && join(name, { password: given.password });
    }
    if (!(error instanceof Gone)) complain(`${name}: ${error.message}`);
    return null;
  }
}

function remember() {
  keep("rooms", JSON.stringify([...rooms.values()].filter((room) => !room.isDirect && room.isIn).map((room) => room.key)));
}

chat.addEventListener("joined", ({ detail: { room: told, history, lost, resumed } }) => {
  const isNew = !rooms.has(told.name);
  const room = rooms.get(told.name) ?? new Room(told.name, told.name);
  rooms.set(told.name, room);
  if (lost || !resumed) room.forget();
  for (const entry of history) room.add(entry);
  room.epoch = told.from.epoch;
  room.know(told);
  if (isNew && !room.read) room.read = room.readFrom = Number(kept(`read.${room.key}.${room.epoch}`) ?? told.from.seq);
  room.hasOlder = room.order.length > 0 && room.order[0] > 1;
  room.count(chat.you);
  showLists();
  if (room === active) showRoom();
});

export async function leave(room) {
  try {
    if (!room.isDirect) await chat.part(room.key);
  } catch (error) {
    if (error.code !== "not_member") return complain(error.message);
  }
  gone(room);
}

function gone(room) {
  rooms.delete(room.key);
  remember();
  if (room === active) {
    active = null;
    const next = [...rooms.values()][0];
    if (next) open(next);
    else showRoom();
  }
  showLists();
}

/** The conversation with somebody. */
function direct(nick) {
  const key = `@${nick.toLowerCase()}`;
  if (!rooms.has(key)) rooms.set(key, new Room(key, nick));
  return rooms.get(key);
}

export function talkTo(nick) {
  open(direct(nick));
}

export function open(room) {
  if (active) active.draft = byId("say").value;
  endMode();
  active = room;
  room.readFrom = room.read;
  keep("room", room.key);
  history.replaceState(null, "", `#${encodeURIComponent(room.isDirect ? `@${room.name}` : room.key)}`);
  byId("say").value = room.draft;
  grow();
  closeSides();
  showSearch(false);
  showRoom();
  if (!isNarrow()) byId("say").focus();
  if (room.isDirect && !room.isLoaded) catchUp(room);
}

/** What was said in a conversation and is not known. */
async function catchUp(room) {
  try {
    const after = room.order.length ? { after: room.last } : {};
    const found = await chat.request({ do: "history", ...room.to, ...after, limit: RECENT });
    room.isLoaded = true;
    for (const entry of found.entries) room.add(entry);
    if (!after.after) room.hasOlder = found.more;
    room.count(chat.you);
    showLists();
    if (room === active) showRoom();
  } catch (error) {
    room.isLoaded = true;
    room.hasOlder = false;
    if (error.code !== "no_such_nick" && error.code !== "no_such_room" && !(error instanceof Gone)) complain(error.message);
  }
}

// What happens.

chat.addEventListener("entry", ({ detail: entry }) => {
  const room = roomOf(entry);
  if (!room || !room.add(entry)) return;
  room.typing.delete(entry.from.id);
  if (entry.nonce) room.pending.delete(entry.nonce);
  if (entry.event === "kicked" && entry.who.id === chat.you?.id) {
    complain(`${entry.from.nick} put you out of ${room.name}${entry.reason ? `: ${entry.reason}` : ""}`);
    return gone(room);
  }
  if (entry.event === "role" && entry.who.id === chat.you?.id) room.role = entry.role;
  if (entry.event === "role" || entry.event === "set") refresh(room);
  room.count(chat.you);
  if (room === active) {
    showEntry(room, entry);
    showHead();
    showTyping();
    if (entry.event === "role" || entry.event === "kicked") showMembers();
  }
  noteRead();
  showLists();
});

function roomOf(entry) {
  if (!entry.room.startsWith("@")) return rooms.get(entry.room);
  const other = entry.from.id === chat.you?.id ? (entry.to ?? null) : entry.from;
  const known = [...rooms.values()].find((room) => room.log === entry.room);
  if (known) return known;
  const room = other && direct(other.nick);
  if (room && !room.isLoaded && room !== active) catchUp(room);
  return room;
}

chat.addEventListener("lost", ({ detail: { room: name } }) => {
  const room = rooms.get(name);
  if (room === active && room) note(room, ["Some of what was said here is not kept any more"]);
});

chat.addEventListener("live", ({ detail }) => {
  const { event, who } = detail;
  const room = rooms.get(detail.room) ?? [...rooms.values()].find((room) => room.log && room.log === detail.room);
  switch (event) {
    case "joined":
      room?.came(who, detail.role);
      if (room && who.id !== chat.you?.id) note(room, [{ nick: who.nick }, " came in"]);
      break;
    case "parted":
      room?.members.delete(who.id);
      if (room && who.id === chat.you?.id) return gone(room);
      if (room) note(room, [{ nick: who.nick }, ` left${detail.reason ? `: ${detail.reason}` : ""}`]);
      break;
    case "quit":
      for (const room of rooms.values()) {
        room.typing.delete(who.id);
        if (room.members.delete(who.id)) note(room, [{ nick: who.nick }, ` is gone${detail.reason ? `: ${detail.reason}` : ""}`]);
      }
      break;
    case "renamed":
      for (const room of rooms.values()) {
        const member = room.members.get(who.id);
        if (member) {
          member.nick = detail.nick;
          note(room, [{ nick: who.nick }, " is now called ", { nick: detail.nick }]);
        }
      }
      renameDirect(who.nick, detail.nick);
      if (who.id === chat.you?.id && chat.you.guest) keep("nick", detail.nick, sessionStorage);
      showSelf();
      break;
    case "away":
      for (const room of rooms.values()) {
        const member = room.members.get(who.id);
        if (member) member.away = detail.text !== null;
      }
      if (who.id === chat.you?.id) chat.you.away = detail.text;
      showSelf();
      break;
    case "typing":
      if (!room || who.id === chat.you?.id) return;
      if (detail.active) room.typing.set(who.id, { nick: who.nick, until: Date.now() + TYPING_SHOWN });
      else room.typing.delete(who.id);
      return showTyping();
    case "invitation":
      dialogs.ask(`${detail.by.nick} invites you to ${detail.room}`, [], "Go there").then(async (yes) => {
        const joined = yes && (await join(detail.room));
        if (joined) open(joined);
      });
      return;
    case "membership":
      if (detail.member) join(detail.room, { quietly: true });
      else if (room) gone(room);
      return;
    case "shut_out":
      complain(`${detail.room}: ${detail.reason}`);
      if (room) gone(room);
      return;
    case "read":
      if (room && detail.seq > room.read) {
        room.read = detail.seq;
        room.count(chat.you);
        showLists();
      }
      return;
  }
  showMembers();
  showLists();
});

function renameDirect(before, nick) {
  const room = rooms.get(`@${before.toLowerCase()}`);
  if (!room || rooms.has(`@${nick.toLowerCase()}`)) return;
  rooms.delete(room.key);
  room.key = `@${nick.toLowerCase()}`;
  room.name = nick;
  rooms.set(room.key, room);
  if (room === active) showHead();
}

/** What the room is like was changed, and who asks may see other things of it now. */
async function refresh(room) {
  try {
    room.know((await chat.request({ do: "look", room: room.key })).room);
    if (room === active) {
      showMembers();
      showHead();
    }
    showLists();
  } catch (error) {
    if (!(error instanceof Gone)) complain(error.message);
  }
}

chat.addEventListener("pending", ({ detail }) => {
  const key = detail.to.room ?? `@${detail.to.nick.toLowerCase()}`;
  const room = rooms.get(key);
  if (!room) return;
  if (detail.state === "said") {
    const isThere = room.entries.has(detail.seq);
    if (isThere || !room.pending.has(detail.nonce)) room.pending.delete(detail.nonce);
  } else if (detail.state === "refused") {
    room.pending.delete(detail.nonce);
    complain(detail.error.message);
    if (room === active && !byId("say").value) byId("say").value = detail.text;
    else room.draft ||= detail.text;
    grow();
  } else room.pending.set(detail.nonce, detail);
  if (room === active) showPending();
});

// Showing.

function showSelf() {
  const you = chat.you;
  if (!you) return;
  show(byId("self"), nickSpan(you.nick, true), make("small", "", you.away ? `away: ${you.away}` : you.guest ? "guest" : ""));
}

export function showLists() {
  const line = (room) => {
    const button = make("button", "", make("span", "sign", room.isDirect ? "@" : "#"), make("bdi", "name", room.name));
    button.type = "button";
    button.dataset.key = room.key;
    if (room === active) button.setAttribute("aria-current", "true");
    if (room.unread && room !== active) {
      button.classList.add("unread");
      const badge = make("span", room.mentions ? "badge loud" : "badge", room.unread > 99 ? "99+" : String(room.unread));
      badge.append(make("span", "hidden", room.mentions ? ` unread, ${room.mentions} for you` : " unread"));
      button.append(badge);
    }
    button.addEventListener("click", () => open(room));
    return make("li", "", button);
  };
  const all = [...rooms.values()].sort((a, b) => a.name.localeCompare(b.name));
  const people = all.filter((room) => room.isDirect);
  show(byId("rooms"), ...all.filter((room) => !room.isDirect).map(line));
  show(byId("people"), ...people.map(line));
  byId("people-head").hidden = people.length === 0;
  const others = all.filter((room) => room !== active);
  const waiting = all.reduce((sum, room) => sum + room.mentions, 0);
  byId("elsewhere").hidden = !others.some((room) => room.unread);
  document.title = `${waiting ? `(${waiting}) ` : ""}${active ? `${active.isDirect ? "@" : "#"}${active.name} · ` : ""}Chat`;
}

function showRoom() {
  showHead();
  showMembers();
  showLists();
  showTyping();
  const log = byId("log");
  // Not what is read out: it was there before.
  log.setAttribute("aria-live", "off");
  show(log);
  if (active) for (const seq of active.order) append(log, active, active.entries.get(seq));
  showPending();
  showEdge();
  toEnd();
  requestAnimationFrame(() => log.setAttribute("aria-live", "polite"));
}

function showHead() {
  byId("title").textContent = active ? active.name : "";
  byId("title").dataset.sign = !active ? "" : active.isDirect ? "@" : "#";
  byId("topic").textContent = active?.topic?.text ?? "";
  byId("topic").title = active?.topic ? `${active.topic.text} (${active.topic.by})` : "";
  for (const id of ["open-members", "open-room"]) byId(id).hidden = !active || active.isDirect;
  byId("open-search").hidden = !active;
  byId("say").placeholder = active ? `Message ${active.isDirect ? "@" : "#"}${active.name}` : "";
}

export function showMembers() {
  const room = active;
  if (!room || room.isDirect) {
    document.body.classList.add("no-members");
    return show(byId("members"));
  }
  document.body.classList.remove("no-members");
  byId("count").textContent = room.members.size;
  const list = [];
  let group = null;
  const titles = { owner: "Owner", moderator: "Moderators", voice: "Voice" };
  for (const member of sorted(room.members.values())) {
    const title = titles[member.role] ?? "Here";
    if (title !== group) list.push(make("li", "group", (group = title)));
    const button = make("button", member.away ? "away" : "", nickSpan(member.nick, true));
    button.type = "button";
    button.setAttribute("aria-haspopup", "menu");
    if (member.id === chat.you?.id) button.append(make("small", "", "you"));
    else if (member.away) button.append(make("small", "", "away"));
    else if (member.guest) button.append(make("small", "", "guest"));
    button.addEventListener("click", () => dialogs.memberMenu(button, room, member));
    list.push(make("li", "", button));
  }
  show(byId("members"), ...list);
}

/** Appends an entry to the log, with what stands before it: a day, where one had read up to, a name. */
function append(log, room, entry, before = null) {
  const rows = row(room, entry);
  for (const element of rows) log.insertBefore(element, before);
  return rows;
}

function previous(room, seq) {
  const at = room.order.indexOf(seq);
  return at > 0 ? room.entries.get(room.order[at - 1]) : null;
}

function row(room, entry) {
  const rows = [];
  const prior = previous(room, entry.seq);
  const day = new Date(entry.time).toDateString();
  const isNewDay = !prior || new Date(prior.time).toDateString() !== day;
  if (isNewDay) rows.push(make("li", "day", make("span", "", new Date(entry.time).toLocaleDateString(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" }))));
  const isFirstUnread = room.readFrom > 0 && prior && prior.seq <= room.readFrom && entry.seq > room.readFrom && entry.from.id !== chat.you?.id;
  if (isFirstUnread && !document.querySelector(".log .new")) rows.push(make("li", "new", make("span", "", "New")));
  const element = entryRow(room, entry, prior, isNewDay || isFirstUnread);
  if (element) rows.push(element);
  for (const one of rows) one.dataset.of = entry.seq;
  return rows;
}

function entryRow(room, entry, prior, isApart) {
  const isTaken = entry.event === "deleted" && entry.target === entry.seq;
  if (entry.event !== "message" && !isTaken) {
    const pieces = said(entry);
    if (!pieces) return null;
    const line = make("li", "note", ...pieces.map(piece), make("time", "", clockTime(entry.time)));
    line.dataset.seq = entry.seq;
    return line;
  }
  const isSame = !isApart && prior && (prior.event === "message" || (prior.event === "deleted" && prior.target === prior.seq))
    && prior.from.id === entry.from.id && prior.from.nick === entry.from.nick && entry.time - prior.time < TOGETHER
    && (prior.manner ?? "message") === "message" && (entry.manner ?? "message") === "message" && !entry.reply;
  const line = make("li", isSame ? "message same" : "message");
  line.dataset.seq = entry.seq;
  line.tabIndex = -1;
  line.addEventListener("focus", () => line.classList.add("chosen"));
  line.addEventListener("blur", () => line.classList.remove("chosen"));
  const time = make("time", "", clockTime(entry.time));
  time.dateTime = new Date(entry.time).toISOString();
  time.title = longTime(entry.time);
  const head = make("div", "from", nickSpan(entry.from.nick), entry.manner === "notice" ? make("small", "", "notice") : "", time);
  const body = make("div", "body");
  if (entry.reply) body.append(quote(room, entry.reply));
  const text = make("p", "text");
  text.dir = "auto";
  if (isTaken) {
    line.classList.add("taken");
    text.textContent = "taken back";
  } else {
    if (entry.manner === "action") {
      line.classList.add("action");
      text.append(nickSpan(entry.from.nick), " ");
    }
    text.append(...linked(entry.text));
    if (entry.edited) text.append(make("small", "edited", " (edited)"));
    if (entry.from.id !== chat.you?.id && mentions(entry.text, chat.you?.nick)) line.classList.add("mention");
    line.append(tools(room, entry));
  }
  body.append(text);
  line.prepend(head, body);
  return line;
}

function piece(part) {
  return typeof part === "string" ? document.createTextNode(part) : nickSpan(part.nick);
}

function quote(room, seq) {
  const about = room.entries.get(seq);
  const line = make("button", "quote", about ? nickSpan(about.from.nick) : "", make("bdi", "", about?.text ?? "something from before"));
  line.type = "button";
  line.addEventListener("click", () => goTo(room, seq));
  return line;
}

function tools(room, entry) {
  const isOwn = entry.from.id === chat.you?.id;
  const bar = make("div", "tools");
  const tool = (name, sign, act) => {
    const button = make("button", "", sign);
    button.type = "button";
    button.title = name;
    button.setAttribute("aria-label", name);
    button.tabIndex = -1;
    button.addEventListener("click", act);
    bar.append(button);
  };
  tool("Reply", "↩", () => reply(entry));
  if (isOwn) tool("Edit", "✎", () => edit(entry));
  if (isOwn || room.canModerate()) tool("Take back", "×", () => takeBack(room, entry));
  return bar;
}

/** Shows what is new, or what an entry changed. */
function showEntry(room, entry) {
  const log = byId("log");
  const isChange = (entry.event === "edited" || entry.event === "deleted") && entry.target !== entry.seq;
  if (isChange) {
    const old = log.querySelector(`li[data-seq="${entry.target}"]`);
    const about = room.entries.get(entry.target);
    if (old && about) {
      const prior = previous(room, about.seq);
      old.replaceWith(entryRow(room, about, prior, !old.classList.contains("same")) ?? "");
    }
    return;
  }
  const wasAtEnd = isAtEnd || entry.from.id === chat.you?.id;
  const isLast = entry.seq === room.last;
  if (!isLast) return showRoom();
  append(log, room, entry, log.querySelector("li.pending"));
  showPending();
  if (wasAtEnd && room.trim()) showRoom();
  else if (wasAtEnd) toEnd();
  else byId("latest").hidden = false;
  showLatest();
}

function note(room, pieces) {
  if (room !== active) return;
  const log = byId("log");
  const notes = log.querySelectorAll("li.passing");
  if (notes.length >= NOTES) notes[0].remove();
  log.insertBefore(make("li", "note passing", ...pieces.map(piece), make("time", "", clockTime(Date.now()))), log.querySelector("li.pending"));
  if (isAtEnd) toEnd();
}

function showPending() {
  const log = byId("log");
  for (const old of log.querySelectorAll("li.pending")) old.remove();
  for (const item of active?.pending.values() ?? []) {
    const text = make("p", "text", item.text);
    text.dir = "auto";
    log.append(make("li", "message pending", make("div", "from", nickSpan(chat.you?.nick ?? ""), make("time", "", "sending…")), make("div", "body", text)));
  }
  if (isAtEnd) toEnd();
}

function showTyping() {
  const now = Date.now();
  for (const [id, { until }] of active?.typing ?? []) if (until < now) active.typing.delete(id);
  const nicks = [...(active?.typing.values() ?? [])].map(({ nick }) => nick);
  byId("typing").textContent = nicks.length === 0 ? "" : nicks.length > 3 ? "Several people are writing…" : `${nicks.join(", ")} ${nicks.length > 1 ? "are" : "is"} writing…`;
}
setInterval(showTyping, 1000);

function showLatest() {
  const count = active?.unread ?? 0;
  byId("latest").querySelector("span").textContent = count ? `${count} new` : "Latest";
}

function showEdge() {
  byId("edge").textContent = !active ? "" : active.hasOlder ? "" : active.isDirect ? `You and ${active.name}` : `This is where ${active.name} begins`;
}

export function complain(text) {
  byId("notice").textContent = text;
  clearTimeout(complain.timer);
  complain.timer = setTimeout(() => (byId("notice").textContent = ""), 8000);
}

// Scrolling, and what is read.

const scroll = byId("scroll");

function toEnd() {
  isAtEnd = true;
  scroll.scrollTop = scroll.scrollHeight;
  byId("latest").hidden = true;
  noteRead();
}

let isAsking = false;

scroll.addEventListener("scroll", () => {
  isAtEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;
  if (isAtEnd) byId("latest").hidden = true;
  else if (scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight > 600) {
    byId("latest").hidden = false;
    showLatest();
  }
  if (isAtEnd) noteRead();
  if (scroll.scrollTop < 300) older();
});

new ResizeObserver(() => isAtEnd && toEnd()).observe(scroll);

/** Loads what was said before, and stays where one was. */
export async function older() {
  const room = active;
  if (isAsking || !room?.hasOlder || chat.state !== "in" || !room.order.length) return false;
  isAsking = true;
  byId("edge").textContent = "Reading what was said before…";
  try {
    const found = await chat.request({ do: "history", ...room.to, before: room.order[0], limit: OLDER });
    const first = room.order[0];
    for (const entry of found.entries) room.add(entry);
    room.hasOlder = found.more && found.entries.length > 0;
    if (room !== active) return false;
    const log = byId("log");
    log.setAttribute("aria-live", "off");
    const from = scroll.scrollHeight - scroll.scrollTop;
    // The one that was first may stand under the name before it now, and its day may have begun earlier.
    for (const old of log.querySelectorAll(`li[data-of="${first}"]`)) old.remove();
    const top = log.firstChild;
    for (const seq of room.order) {
      if (seq > first) break;
      append(log, room, room.entries.get(seq), top);
    }
    scroll.scrollTop = scroll.scrollHeight - from;
    requestAnimationFrame(() => log.setAttribute("aria-live", "polite"));
    return found.entries.length > 0;
  } catch (error) {
    if (!(error instanceof Gone)) complain(error.message);
    return false;
  } finally {
    isAsking = false;
    showEdge();
  }
}

let readTimer = null;

/** One has read what is on the screen. */
function noteRead() {
  const room = active;
  if (!room || !isAtEnd || document.hidden || room.last <= room.read) return;
  room.read = room.last;
  room.count(chat.you);
  showLists();
  clearTimeout(readTimer);
  readTimer = setTimeout(() => {
    keep(`read.${room.log ?? room.key}.${room.epoch}`, String(room.read));
    if (!chat.you?.guest && chat.state === "in") chat.request({ do: "read", ...room.to, seq: room.read }).catch(() => {});
  }, 500);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  chat.retry();
  noteRead();
  showLists();
});

/** Shows an entry of a room, wherever in its history it is. */
export async function goTo(room, seq) {
  if (room !== active) open(room);
  const find = () => byId("log").querySelector(`li[data-seq="${seq}"]`);
  while (!find() && (await older())) continue;
  const found = find();
  if (!found) return;
  found.scrollIntoView({ block: "center" });
  found.focus({ preventScroll: true });
}

byId("latest").addEventListener("click", toEnd);

// Saying.

const say = byId("say");

function grow() {
  // Its height is what it needs, up to a third of the window.
  say.rows = 1;
  const line = parseFloat(getComputedStyle(say).lineHeight) || 24;
  while (say.scrollHeight > say.clientHeight + 2 && say.rows < Math.max(3, innerHeight / 3 / line)) say.rows += 1;
}

let typed = 0;

function tellTyping(isActive) {
  if (!active || chat.state !== "in") return;
  const now = Date.now();
  if (isActive ? now - typed < TYPING_TOLD : typed === 0) return;
  typed = isActive ? now : 0;
  chat.request({ do: "typing", ...active.to, active: isActive }).catch(() => {});
}

say.addEventListener("input", () => {
  grow();
  complete(say, byId("offers"), false);
  if (say.value && !say.value.startsWith("/")) tellTyping(true);
});

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});

async function send() {
  const text = say.value;
  const room = active;
  if (!text.trim() || !room) return;
  byId("offers").hidden = true;
  say.value = "";
  room.draft = "";
  typed = 0;
  grow();
  byId("notice").textContent = "";
  try {
    if (isEditing) {
      const seq = isEditing.seq;
      endMode();
      return await chat.request({ do: "edit", ...room.to, seq, text });
    }
    const reply = isReplying?.seq;
    endMode();
    if (text.startsWith("/") && !text.startsWith("//")) return await obey(text.slice(1));
    toEnd();
    await chat.say(room.to, text.replace(/^\/\//, "/"), { reply });
  } catch (error) {
    complain(error.message);
    if (!say.value && error instanceof Gone) say.value = text;
  }
}

say.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  if (complete(say, byId("offers"), true, event)) return event.preventDefault();
  if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    send();
  } else if (event.key === "ArrowUp" && !say.value) {
    const own = active?.order.findLast((seq) => {
      const entry = active.entries.get(seq);
      return entry.event === "message" && entry.from.id === chat.you?.id;
    });
    if (own) {
      event.preventDefault();
      edit(active.entries.get(own));
    }
  } else if (event.key === "Escape") {
    if (isEditing) say.value = "";
    endMode();
    grow();
    toEnd();
  } else if (event.key === "PageUp" || event.key === "PageDown") {
    event.preventDefault();
    scroll.scrollBy({ top: (event.key === "PageUp" ? -0.8 : 0.8) * scroll.clientHeight });
  }
});

function mode(text) {
  byId("about").hidden = false;
  byId("about").querySelector("span").textContent = text;
  say.focus();
}

function endMode() {
  if (isEditing) say.value = "";
  isEditing = isReplying = null;
  byId("about").hidden = true;
}

byId("about").querySelector("button").addEventListener("click", () => {
  endMode();
  say.focus();
});

function reply(entry) {
  endMode();
  isReplying = entry;
  mode(`Replying to ${entry.from.nick}`);
}

function edit(entry) {
  endMode();
  isEditing = entry;
  say.value = entry.text;
  grow();
  mode("Editing what you said");
}

async function takeBack(room, entry) {
  const yes = await dialogs.ask("Take this back?", [{ text: entry.text }], "Take back");
  if (!yes) return;
  chat.request({ do: "delete", ...room.to, seq: entry.seq }).catch((error) => complain(error.message));
}

// Keys in the log: from message to message, and what can be done with each.

byId("log").addEventListener("keydown", (event) => {
  const line = event.target.closest("li.message");
  if (!line || event.ctrlKey || event.altKey || event.metaKey || event.target !== line) return;
  const lines = [...byId("log").querySelectorAll("li.message:not(.pending)")];
  const at = lines.indexOf(line);
  const entry = active.entries.get(Number(line.dataset.seq));
  const isOwn = entry?.from.id === chat.you?.id;
  const go = (to) => to?.focus() ?? say.focus();
  const keys = {
    ArrowUp: () => (at > 0 ? go(lines[at - 1]) : older()),
    ArrowDown: () => go(lines[at + 1]),
    Home: () => go(lines[0]),
    End: () => go(lines[lines.length - 1]),
    Escape: () => say.focus(),
    r: () => entry?.event === "message" && reply(entry),
    e: () => entry?.event === "message" && isOwn && edit(entry),
    Delete: () => entry?.event === "message" && (isOwn || active.canModerate()) && takeBack(active, entry),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

addEventListener("keydown", (event) => {
  const isField = event.target.closest("input, textarea, dialog");
  const step = (by) => {
    const keys = [...document.querySelectorAll(".lists button[data-key]")].map((button) => button.dataset.key);
    const at = keys.indexOf(active?.key);
    const next = rooms.get(keys[(at + by + keys.length) % keys.length]);
    if (next) open(next);
  };
  if (event.altKey && event.key === "ArrowDown") step(1);
  else if (event.altKey && event.key === "ArrowUp") step(-1);
  else if (event.ctrlKey && !event.shiftKey && event.key.toLowerCase() === "k") dialogs.go();
  else if (event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "f") showSearch(true);
  else if (!isField && event.key === "?") dialogs.help();
  else if (!isField && event.key === "/") {
    say.focus();
    return;
  } else if (event.ctrlKey && event.key === "ArrowUp" && event.target === say) {
    const lines = byId("log").querySelectorAll("li.message:not(.pending)");
    lines[lines.length - 1]?.focus();
  } else if (event.key === "Escape" && !event.target.closest("dialog")) {
    dialogs.closeMenu();
    closeSides();
    showSearch(false);
    return;
  } else return;
  event.preventDefault();
});

// The sides, which lie above the messages where it is narrow.

function closeSides() {
  if (!isNarrow()) return;
  document.body.classList.remove("side-open", "members-open");
  byId("open-side").setAttribute("aria-expanded", "false");
  byId("open-members").setAttribute("aria-expanded", "false");
}

byId("open-side").addEventListener("click", () => {
  const isOpen = document.body.classList.toggle("side-open");
  byId("open-side").setAttribute("aria-expanded", String(isOpen));
});

byId("open-members").addEventListener("click", () => {
  const isOpen = isNarrow() ? document.body.classList.toggle("members-open") : !document.body.classList.toggle("members-shut");
  byId("open-members").setAttribute("aria-expanded", String(isOpen));
  showSearch(false);
});

byId("close-members").addEventListener("click", () => {
  document.body.classList.remove("members-open");
  if (!byId("search-form").hidden) showSearch(false);
  else if (!isNarrow()) document.body.classList.add("members-shut");
  byId("open-members").setAttribute("aria-expanded", "false");
});

byId("talk").addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".head")) closeSides();
});

byId("browse").addEventListener("click", () => dialogs.go());
byId("help").addEventListener("click", () => dialogs.help());
byId("self").addEventListener("click", () => dialogs.selfMenu(byId("self")));
byId("open-room").addEventListener("click", () => active && dialogs.roomDialog(active));

// Searching.

export function showSearch(isOn, words = "") {
  document.body.classList.toggle("searching", isOn);
  byId("search-form").hidden = byId("found").hidden = !isOn;
  byId("members").hidden = isOn;
  byId("aside-title").textContent = isOn ? "Search" : "Here";
  if (!isOn) return;
  if (isNarrow()) document.body.classList.add("members-open");
  show(byId("found"));
  byId("search").value = words;
  byId("search").focus();
  if (words) search(words);
}

byId("open-search").addEventListener("click", () => showSearch(true));
byId("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(byId("search").value);
});

async function search(words) {
  const room = active;
  if (!words.trim() || !room) return;
  try {
    const found = await chat.request({ do: "search", ...room.to, words, limit: 50 });
    const lines = found.entries.map((entry) => {
      const text = make("span", "", entry.text ?? "");
      text.dir = "auto";
      const button = make("button", "", nickSpan(entry.from.nick), make("time", "", longTime(entry.time)), text);
      button.type = "button";
      button.addEventListener("click", () => {
        closeSides();
        goTo(room, entry.seq);
      });
      return make("li", "", button);
    });
    show(byId("found"), ...(lines.length ? lines : [make("li", "none", "Nothing with all of these words.")]));
  } catch (error) {
    complain(error.message);
  }
}

chat.open();
