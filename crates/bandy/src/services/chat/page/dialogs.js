// What is asked in between: who comes, where to go, what a room is like, what can be done about somebody.

import { chat, complain, current, join, leave, open, rooms, talkTo } from "./page.js";
import { byId, kept, keep, longTime, make, nickSpan, show, unkeep } from "./parts.js";
import { COMMANDS } from "./commands.js";
import { named } from "./rooms.js";

// Coming in.

let how = "guest";

export function enter(reason = "") {
  const { guests, welcome } = chat.hello;
  byId("welcome").textContent = welcome ?? "";
  byId("welcome").hidden = !welcome;
  byId("tab-guest").hidden = !guests;
  byId("enter-wrong").textContent = reason ?? "";
  byId("as-guest").elements.nick.value ||= kept("nick") ?? "";
  choose(guests ? how : how === "guest" ? "login" : how);
  if (!byId("enter").open) byId("enter").showModal();
  byId("enter").querySelector("form:not([hidden]) input").focus();
}

function choose(tab) {
  how = tab;
  for (const name of ["guest", "login", "register"]) byId(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
  byId("as-guest").hidden = tab !== "guest";
  const form = byId("as-user");
  form.hidden = tab === "guest";
  form.setAttribute("aria-labelledby", `tab-${tab}`);
  form.elements.password.autocomplete = tab === "register" ? "new-password" : "current-password";
  form.querySelector("button").textContent = tab === "register" ? "Register and come in" : "Log in";
}

for (const tab of ["guest", "login", "register"]) {
  byId(`tab-${tab}`).addEventListener("click", () => {
    byId("enter-wrong").textContent = "";
    choose(tab);
  });
}

// Nobody is behind this dialog: it stays.
byId("enter").addEventListener("cancel", (event) => event.preventDefault());

byId("as-guest").addEventListener("submit", async (event) => {
  event.preventDefault();
  const nick = event.target.elements.nick.value.trim();
  try {
    await chat.enter({ nick });
    keep("nick", nick);
    byId("enter").close();
  } catch (error) {
    byId("enter-wrong").textContent = error.message;
  }
});

byId("as-user").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { user, password } = event.target.elements;
  const who = { user: user.value.trim(), password: password.value };
  byId("enter-wrong").textContent = "";
  try {
    if (how === "register") await post("register", who);
    await post("login", who);
    password.value = "";
    byId("enter").close();
    // The cookie says who comes.
    chat.open();
  } catch (error) {
    byId("enter-wrong").textContent = error.message;
  }
});

async function post(path, body) {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? problem.title ?? `the server answered ${response.status}`);
}

async function logOut() {
  await post("logout", {}).catch(() => {});
  unkeep("nick", sessionStorage);
  unkeep("guest", sessionStorage);
  chat.close();
  location.reload();
}

// A question: texts, fields, and yes or no.

export function ask(title, fields, yes) {
  const dialog = byId("ask");
  byId("ask-title").textContent = title;
  byId("ask-wrong").textContent = "";
  byId("ask-yes").textContent = yes;
  show(
    byId("ask-fields"),
    ...fields.map(({ name, label, type = "text", value = "", text, options }) => {
      if (text !== undefined) {
        const shown = make("blockquote", "", text);
        shown.dir = "auto";
        return shown;
      }
      const field = options ? make("select", "", ...options.map(([value, text]) => Object.assign(make("option", "", text), { value }))) : make("input", "");
      if (!options) Object.assign(field, { type, value, dir: "auto", autocomplete: type === "password" ? "off" : "on" });
      field.name = name;
      return make("label", "", label, " ", field);
    }),
  );
  dialog.showModal();
  return new Promise((resolve) => {
    const form = byId("ask-form");
    const end = (given) => {
      form.onsubmit = dialog.onclose = byId("ask-no").onclick = null;
      if (dialog.open) dialog.close();
      resolve(given);
    };
    form.onsubmit = (event) => {
      event.preventDefault();
      end(Object.fromEntries(new FormData(form)));
    };
    byId("ask-no").onclick = dialog.onclose = () => end(null);
  });
}

// Where to go.

let lines = [];
let chosen = 0;
let listed = [];

export async function go() {
  const dialog = byId("go");
  byId("go-name").value = "";
  listed = [];
  drawGo();
  if (!dialog.open) dialog.showModal();
  byId("go-name").focus();
  try {
    listed = (await chat.request({ do: "rooms" })).rooms;
  } catch (error) {
    complain(error.message);
  }
  drawGo();
}

function drawGo() {
  const typed = byId("go-name").value.trim().toLowerCase();
  const plain = typed.replace(/^[#@]/, "");
  const known = new Map();
  if (!typed.startsWith("@")) {
    for (const room of rooms.values()) if (!room.isDirect) known.set(`#${room.key}`, { about: room.topic?.text ?? "", members: room.members.size, isIn: true });
    for (const room of listed) if (!known.has(`#${room.name}`)) known.set(`#${room.name}`, { about: room.topic, members: room.members, isClosed: room.closed });
  }
  if (!typed.startsWith("#")) {
    for (const room of rooms.values()) {
      if (room.isDirect) known.set(`@${room.name}`, { about: "" });
      for (const member of room.members.values()) if (member.id !== chat.you?.id) known.set(`@${member.nick}`, { about: "" });
    }
  }
  lines = [...known].filter(([name]) => name.slice(1).toLowerCase().includes(plain)).slice(0, 50);
  const isThere = lines.some(([name]) => name.slice(1).toLowerCase() === plain);
  if (plain && !isThere && !typed.startsWith("@")) lines.push([`#${plain}`, { about: "a new room" }]);
  if (plain && !isThere && typed.startsWith("@")) lines.push([`@${plain}`, { about: "somebody" }]);
  chosen = Math.min(chosen, Math.max(0, lines.length - 1));
  show(
    byId("go-list"),
    ...lines.map(([name, { about, members, isIn, isClosed }], i) => {
      const line = make("li", "", make("strong", "", name), make("bdi", "", about), make("small", "", [isIn ? "you are in" : "", isClosed ? "closed" : "", members ? `${members} here` : ""].filter(Boolean).join(" · ")));
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", String(i === chosen));
      line.addEventListener("click", () => take(name));
      return line;
    }),
  );
}

async function take(name) {
  byId("go").close();
  if (name.startsWith("@")) return talkTo(name.slice(1));
  const room = rooms.get(name.slice(1)) ?? (await join(name.slice(1)));
  if (room) open(room);
}

byId("go-name").addEventListener("input", () => {
  chosen = 0;
  drawGo();
});
byId("go-name").addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  chosen = (chosen + (event.key === "ArrowDown" ? 1 : Math.max(1, lines.length) - 1)) % Math.max(1, lines.length);
  drawGo();
  byId("go-list").children[chosen]?.scrollIntoView({ block: "nearest" });
});
byId("go-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (lines[chosen]) take(lines[chosen][0]);
});

// A menu beside what it is about.

export function closeMenu() {
  const menu = byId("menu");
  if (menu.hidden) return;
  menu.hidden = true;
  closeMenu.opener?.focus();
}

function menu(opener, title, items) {
  closeMenu.opener = opener;
  const element = byId("menu");
  show(
    element,
    make("p", "", title),
    ...items.filter(Boolean).map(([text, act, isBad]) => {
      const button = make("button", isBad ? "bad" : "", text);
      button.type = "button";
      button.setAttribute("role", "menuitem");
      button.addEventListener("click", () => {
        closeMenu();
        Promise.resolve(act()).catch((error) => complain(error.message));
      });
      return button;
    }),
  );
  element.hidden = false;
  const at = opener.getBoundingClientRect();
  const { width, height } = element.getBoundingClientRect();
  element.style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
  element.style.top = `${at.bottom + height + 8 < innerHeight ? at.bottom + 4 : Math.max(8, at.top - height - 4)}px`;
  element.querySelector("button")?.focus();
}

byId("menu").addEventListener("keydown", (event) => {
  const buttons = [...byId("menu").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1 + buttons.length, Home: 0, End: buttons.length - 1 }[event.key];
  if (event.key === "Tab" || event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    return closeMenu();
  }
  if (to === undefined) return;
  event.preventDefault();
  buttons[to % buttons.length].focus();
});
addEventListener("pointerdown", (event) => {
  if (!event.target.closest("#menu")) byId("menu").hidden = true;
});

export function memberMenu(opener, room, member) {
  const { nick } = member;
  const isYou = member.id === chat.you?.id;
  const may = room.canModerate() && !isYou;
  const about = (what, more) => chat.request({ do: what, room: room.key, nick, ...more });
  const why = { name: "reason", label: "Why?" };
  menu(opener, nick, [
    !isYou && [`Talk to ${nick} alone`, () => talkTo(nick)],
    ["Who is that?", () => whois(nick)],
    may && ["Mute for ten minutes", () => about("mute", { seconds: 600 })],
    may && ["Mute", () => about("mute")],
    may && ["Let them speak again", () => about("unmute")],
    may && member.role !== "moderator" && ["Make moderator", () => about("role", { role: "moderator" })],
    may && !member.role && ["Give a voice", () => about("role", { role: "voice" })],
    may && member.role && ["Take the role away", () => about("role", { role: null })],
    may && ["Put out…", async () => {
      const given = await ask(`Put ${nick} out of ${room.name}`, [why], "Put out");
      return given && about("kick", given);
    }, true],
    may && ["Ban…", async () => {
      const given = await ask(`Ban ${nick} from ${room.name}`, [why, { name: "seconds", label: "For how long?", options: [["3600", "an hour"], ["86400", "a day"], ["604800", "a week"], ["", "for good"]] }], "Ban");
      return given && about("ban", { reason: given.reason, seconds: given.seconds ? Number(given.seconds) : undefined });
    }, true],
  ]);
}

export function selfMenu(opener) {
  const you = chat.you;
  menu(opener, you.nick, [
    you.guest && ["Be called otherwise…", async () => {
      const given = await ask("What should we call you?", [{ name: "nick", label: "Nick", value: you.nick }], "Change");
      return given && chat.request({ do: "nick", nick: given.nick.trim() });
    }],
    you.away ? ["Be back", () => chat.request({ do: "away" })] : ["Be away…", async () => {
      const given = await ask("Being away", [{ name: "text", label: "What should others read?" }], "Be away");
      return given && chat.request({ do: "away", text: given.text || "away" });
    }],
    you.guest ? ["Log in or register…", () => logOut()] : ["Log out", () => logOut()],
    ["Keys and commands", () => help()],
  ]);
}

export async function whois(nick) {
  if (!nick) return;
  const person = await chat.request({ do: "whois", nick });
  const facts = [
    person.who.guest ? "A guest" : `Logged in as ${person.who.id}`,
    `Here since ${longTime(person.since)}`,
    `Last said something ${longTime(person.active)}`,
    person.away === null ? "" : `Away: ${person.away}`,
    person.rooms.length ? `In ${person.rooms.map((room) => `#${room}`).join(", ")}` : "",
  ];
  const yes = await ask(person.who.nick, facts.filter(Boolean).map((text) => ({ text })), "Talk to them alone");
  if (yes) talkTo(person.who.nick);
}

// What a room is like.

export async function roomDialog(room, isAgain = false) {
  byId("room-wrong").textContent = "";
  try {
    room.know((await chat.request({ do: "look", room: room.key })).room);
  } catch (error) {
    return complain(error.message);
  }
  drawRoom(room);
  if (!byId("room").open && !isAgain) byId("room").showModal();
}

function drawRoom(room) {
  const may = room.canModerate();
  byId("room-title").textContent = `#${room.name}`;
  byId("room-leave").onclick = () => {
    byId("room").close();
    leave(room);
  };
  const act = async (request) => {
    try {
      await chat.request({ room: room.key, ...request });
      // Whoever has closed it meanwhile has seen enough.
      if (byId("room").open) await roomDialog(room, true);
    } catch (error) {
      byId("room-wrong").textContent = error.message;
    }
  };
  const topic = Object.assign(make("input", ""), { value: room.topic?.text ?? "", dir: "auto", disabled: !may && room.settings.topic_locked });
  topic.addEventListener("change", () => act({ do: "topic", text: topic.value }));
  const parts = [make("label", "", "What it is about ", topic)];
  const texts = { invite_only: "Only who was invited comes in", moderated: "Only who has a voice speaks", topic_locked: "Only moderators set the topic", hidden: "Not in the list of rooms" };
  for (const [key, text] of Object.entries(texts)) {
    const box = Object.assign(make("input", ""), { type: "checkbox", checked: room.settings[key], disabled: !may });
    box.addEventListener("change", () => act({ do: "set", setting: { [key]: box.checked } }));
    parts.push(make("label", "check", box, ` ${text}`));
  }
  if (may) {
    const password = Object.assign(make("input", ""), { type: "password", autocomplete: "off", placeholder: room.settings.password ? "It has one; empty takes it away" : "None" });
    password.addEventListener("change", () => act({ do: "set", setting: { password: password.value || null } }));
    const limit = Object.assign(make("input", ""), { type: "number", min: 1, value: room.settings.limit ?? "", placeholder: "No limit" });
    limit.addEventListener("change", () => act({ do: "set", setting: { limit: Number(limit.value) || null } }));
    parts.push(make("label", "", "Password ", password), make("label", "", "At most so many people ", limit));
    const rules = (title, list, undo) => {
      if (!list.length) return;
      parts.push(make("h3", "", title));
      parts.push(make("ul", "rules", ...list.map((rule) => {
        const button = make("button", "", "Undo");
        button.type = "button";
        button.addEventListener("click", () => act({ do: undo, nick: rule.who }));
        return make("li", "", Object.assign(make("bdi", "", named(rule.who)), { title: rule.who }), make("small", "", ` by ${rule.by}${rule.until ? `, until ${longTime(rule.until)}` : ""}${rule.reason ? `: ${rule.reason}` : ""}`), button);
      })));
    };
    rules("Banned", room.bans, "unban");
    rules("Muted", room.mutes, "unmute");
  }
  show(byId("room-body"), ...parts);
}

byId("room-close").addEventListener("click", () => byId("room").close());

// Help.

const KEYS = [
  ["Enter", "say it"],
  ["Shift+Enter", "another line"],
  ["Tab", "complete a nick, a room or a command"],
  ["↑", "in an empty field: edit what you said last"],
  ["Esc", "give up editing; to the latest message"],
  ["PageUp, PageDown", "read back and forth"],
  ["Alt+↑, Alt+↓", "the room before and after"],
  ["Ctrl+K", "go to a room or a person"],
  ["Ctrl+Shift+F", "search in this room"],
  ["Ctrl+↑", "to the messages; then ↑ and ↓ from one to the next, r replies, e edits, Delete takes back"],
  ["/", "to the message field"],
  ["?", "this"],
];

export function help() {
  const list = (title, rows) => make("section", "", make("h3", "", title), make("dl", "", ...rows.flatMap(([key, text]) => [make("dt", "", key), make("dd", "", text)])));
  show(byId("help-body"), list("Keys", KEYS.map(([key, text]) => [key, text])), list("Commands", COMMANDS.map(([name, takes, text]) => [`/${name} ${takes}`.trim(), text])));
  byId("help-dialog").showModal();
}

byId("help-close").addEventListener("click", () => byId("help-dialog").close());
