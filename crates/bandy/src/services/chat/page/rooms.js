// What the page knows of the rooms: their entries in order, who is there, what is unread. No page in here.

/** Entries of a room that are kept; older ones are asked for again when somebody scrolls up to them. */
const KEPT = 1500;
const KEPT_AFTER = 600;

/** What people were called last, by their ids: of so many. */
const NICKS = 2000;
const nicks = new Map();

function note(somebody) {
  if (!somebody) return;
  nicks.delete(somebody.id);
  nicks.set(somebody.id, somebody.nick);
  if (nicks.size > NICKS) nicks.delete(nicks.keys().next().value);
}

/** Whom a ban or a mute is about, as people know them: a guest's id says nothing to anybody. */
export const named = (mask) => nicks.get(mask) ?? mask;

/** A room, or a conversation of two; `key` is its name, or `@` and the nick in lower case. */
export class Room {
  constructor(key, name) {
    this.key = key;
    /** As it is shown. */
    this.name = name;
    this.isDirect = key.startsWith("@");
    /** The log's name, which a conversation has only once something was said. */
    this.log = this.isDirect ? null : key;
    this.epoch = null;
    /** Entries by place in the log: {row, entry}. In order in `order`. */
    this.entries = new Map();
    this.order = [];
    this.hasOlder = true;
    this.isLoaded = !this.isDirect;
    this.members = new Map();
    this.typing = new Map();
    this.topic = null;
    this.role = null;
    this.settings = {};
    this.isIn = false;
    this.read = 0;
    this.readFrom = 0;
    this.unread = 0;
    this.mentions = 0;
    /** What is being said, by nonce. */
    this.pending = new Map();
    this.draft = "";
  }

  /** As requests name it. */
  get to() {
    return this.isDirect ? { nick: this.name } : { room: this.key };
  }

  get last() {
    return this.order.length ? this.order[this.order.length - 1] : 0;
  }

  /** Takes an entry in; false where it is there already. An edit or a deletion changes what it is about. */
  add(entry) {
    if (this.epoch !== null && entry.epoch !== this.epoch) this.forget();
    this.epoch = entry.epoch;
    this.log = entry.room;
    if (this.entries.has(entry.seq)) return false;
    note(entry.from);
    note(entry.who);
    this.entries.set(entry.seq, entry);
    if (entry.seq > this.last) this.order.push(entry.seq);
    else this.order.splice(this.order.findIndex((seq) => seq > entry.seq), 0, entry.seq);
    const target = entry.target === entry.seq ? null : this.entries.get(entry.target);
    if (target?.event === "message") {
      if (entry.event === "edited") Object.assign(target, { text: entry.text, edited: true });
      if (entry.event === "deleted") Object.assign(target, { event: "deleted", target: target.seq, by: entry.from });
    }
    if (entry.event === "topic") this.topic = entry.text ? { text: entry.text, by: entry.from.nick, at: entry.time } : null;
    if (entry.event === "kicked") this.members.delete(entry.who.id);
    if (entry.event === "role") {
      const member = this.members.get(entry.who.id);
      if (member) member.role = entry.role;
    }
    if (entry.event === "set" && entry.setting) Object.assign(this.settings, entry.setting);
    return true;
  }

  forget() {
    this.entries.clear();
    this.order = [];
    this.hasOlder = true;
    this.read = 0;
  }

  /** Lets the oldest go, where there are very many. */
  trim() {
    if (this.order.length <= KEPT) return false;
    for (const seq of this.order.splice(0, this.order.length - KEPT_AFTER)) this.entries.delete(seq);
    this.hasOlder = true;
    return true;
  }

  /** What the server told of the room. */
  know(room) {
    this.topic = room.topic;
    this.role = room.role;
    this.isIn = room.member;
    this.members = new Map(room.members.map((member) => [member.id, member]));
    room.members.forEach(note);
    const { invite_only, password, moderated, topic_locked, hidden, limit } = room;
    this.settings = { invite_only, password, moderated, topic_locked, hidden, limit };
    this.bans = room.bans ?? [];
    this.mutes = room.mutes ?? [];
  }

  /** Somebody came in. */
  came(who, role) {
    this.members.set(who.id, { ...who, role, away: false });
    note(who);
  }

  /** Counts what is behind the last entry that was read. */
  count(you) {
    this.unread = this.mentions = 0;
    for (let i = this.order.length - 1; i >= 0 && this.order[i] > this.read; i--) {
      const entry = this.entries.get(this.order[i]);
      if (entry.event !== "message" || entry.from.id === you?.id) continue;
      this.unread += 1;
      if (this.isDirect || mentions(entry.text, you?.nick)) this.mentions += 1;
    }
  }

  canModerate() {
    return this.role === "owner" || this.role === "moderator";
  }
}

/** Whether a text speaks to somebody: has their nick as a word. */
export function mentions(text, nick) {
  if (!nick) return false;
  const at = nick.replace(/[.\-]/g, "\\$&");
  return new RegExp(`(^|[^A-Za-z0-9._-])@?${at}(?![A-Za-z0-9_]|[.-][A-Za-z0-9])`, "i").test(text);
}

/** The members in the order in which they are shown: who may more comes first, then by nick. */
export function sorted(members) {
  const rank = { owner: 0, moderator: 1, voice: 2 };
  return [...members].sort(
    (a, b) => (rank[a.role] ?? 3) - (rank[b.role] ?? 3) || a.away - b.away || a.nick.localeCompare(b.nick, "en", { sensitivity: "base" }),
  );
}

/** What an entry that is no message says, in pieces: text, and {nick}. */
export function said(entry) {
  const who = { nick: entry.from.nick };
  const until = entry.until ? ` until ${new Date(entry.until).toLocaleString()}` : "";
  const because = entry.reason ? `: ${entry.reason}` : "";
  switch (entry.event) {
    case "created":
      return [who, " made the room"];
    case "topic":
      return entry.text ? [who, " set the topic: ", entry.text] : [who, " took the topic away"];
    case "kicked":
      return [who, " put ", { nick: entry.who.nick }, ` out${because}`];
    case "banned":
      return [who, ` banned ${named(entry.mask)}${until}${because}`];
    case "unbanned":
      return [who, ` lets ${named(entry.mask)} in again`];
    case "muted":
      return [who, ` muted ${named(entry.mask)}${until}`];
    case "unmuted":
      return [who, ` lets ${named(entry.mask)} speak again`];
    case "invited":
      return [who, " invited ", { nick: entry.who.nick }];
    case "role":
      return [who, entry.role ? ` made ` : " took their role from ", { nick: entry.who.nick }, entry.role ? ` ${entry.role}` : ""];
    case "set":
      return [who, ` set ${Object.entries(entry.setting ?? {}).map(([key, value]) => `${key.replace("_", " ")} to ${value}`).join(", ")}`];
    default:
      return null;
  }
}
