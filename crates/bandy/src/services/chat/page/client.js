// A client of the chat's WebSocket (`schema.json` describes what is said on it): no page, no dependencies.
//
//   const chat = new ChatClient("ws://127.0.0.1:7002/");
//   chat.addEventListener("entry", ({ detail }) => console.log(detail.room, detail.from.nick, detail.text));
//   chat.addEventListener("state", async ({ detail }) => {
//     if (detail.state !== "hello") return;
//     await chat.enter({ nick: "ada" });
//     await chat.join("lobby", { recent: 50 });
//     await chat.say({ room: "lobby" }, "Hello");
//   });
//   chat.open();
//
// When the connection is lost it comes back by itself: it enters again, joins its rooms again behind the last entry that
// it knows of each, takes up conversations of two in the same way, and sends again what was not acknowledged, under the
// same nonce. So each entry is told once, in order; where the server cannot give what was missed, `lost` says so. A guest
// who comes back is the same one: the server gave them a token for that, which is `guestToken`.
//
// Events, with their `detail`:
//   state    {state, code, reason, wait}: "connecting", "hello" (somebody has to enter), "in", "waiting" (it will
//            come back), "over" (it will not)
//   entry    an entry of a room's log, each exactly once and in the order of its room
//   live     anything else that happened: who came, went, is away, is writing, …
//   joined   {room, history, lost, resumed}: the room as it is now; what was missed comes as `entry` before
//   lost     {room, through}: entries up to and with `through` are not there any more
//   pending  {to, nonce, text, state}: what is being said: "sending", "said", "refused" (with `error`)

/** The version of the messages that this speaks. */
export const VERSION = 1;

/** The first pause before it comes back, and the longest. Milliseconds. */
const WAIT_FIRST = 500;
const WAIT_LONGEST = 30_000;
/** The server is asked whether it is there after so much silence, and has so long to answer. */
const QUIET = 30_000;
const PATIENCE = 15_000;
/** The most that waits to be said while there is no connection. */
const PENDING_MAX = 100;
/** How many entries are asked for at once while a gap is filled. */
const GAP = 500;

/** Why a request was not done: `code` is for programs, `message` for people, `wait` in milliseconds or undefined. */
export class Refused extends Error {
  constructor({ code, message, wait }) {
    super(message);
    this.name = "Refused";
    this.code = code;
    this.wait = wait;
  }
}

/** The connection was lost before the answer came: it may have been done or not. */
export class Gone extends Error {
  constructor() {
    super("the connection was lost");
    this.name = "Gone";
    this.code = "gone";
  }
}

export class ChatClient extends EventTarget {
  #url;
  #socket = null;
  #asked = 0;
  /** Requests that wait for their answer, by number. */
  #waiting = new Map();
  /** Rooms that are followed, by name: {password, recent, epoch, last, early}. */
  #rooms = new Map();
  /** The last entry that is known of each conversation of two, by the name of its log; null before the first look. */
  #direct = null;
  /** Entries of conversations that came while it was being looked what was missed in them. */
  #early = null;
  /** What is to be said and was not acknowledged, in order. */
  #pending = [];
  #isFlushing = false;
  #attempt = 0;
  #timer = null;
  #quiet = null;
  #credentials = null;
  #isWanted = false;
  #nonces = 0;
  #stem = random();
  #backNow = () => this.#comeBackNow();

  constructor(url) {
    super();
    this.#url = url;
    this.state = "over";
    /** Who one is: {nick, id, guest}. */
    this.you = null;
    /** The server's first message. */
    this.hello = null;
    /** What a guest comes back with. Kept by whoever wants to be the same guest in another client. */
    this.guestToken = null;
  }

  /** Connects, and stays connected until `close`. `credentials` are what `enter` takes, where they are known. */
  open(credentials = null) {
    this.#credentials = credentials ?? this.#credentials;
    if (!this.#isWanted) globalThis.addEventListener?.("online", this.#backNow);
    this.#isWanted = true;
    this.#attempt = 0;
    this.#connect();
  }

  /** Ends the connection, and forgets who one was and which rooms one was in. */
  close() {
    this.#isWanted = false;
    globalThis.removeEventListener?.("online", this.#backNow);
    clearTimeout(this.#timer);
    this.#credentials = null;
    this.#rooms.clear();
    this.#direct = null;
    this.guestToken = null;
    this.#refusePending(new Gone());
    this.#drop();
    this.you = null;
    this.#tellState("over");
  }

  /** Comes in: `{nick}` as a guest, `{user, password}`, or `{token}`. Not needed where the handshake's cookie does. */
  async enter(credentials) {
    const isGuest = !credentials.user && !credentials.token;
    const guest = (isGuest && this.guestToken) || undefined;
    // What is told before the answer is looked at belongs to what may have been missed.
    this.#early = [];
    const entered = await this.request({ do: "enter", guest, ...credentials });
    this.#credentials = credentials;
    // One who was not there before has no conversations.
    if (entered.guest && !guest) this.#direct ??= new Map();
    this.guestToken = entered.guest ?? null;
    this.#in(entered.you);
    return entered;
  }

  /** Goes into a room and follows it. `recent` entries are told with the answer. */
  async join(room, { password, recent = 0 } = {}) {
    const name = room.replace(/^#/, "").toLowerCase();
    const known = this.#rooms.get(name) ?? { epoch: null, last: 0, early: null };
    Object.assign(known, { password: password ?? known.password, recent });
    try {
      return await this.#join(name, known);
    } catch (error) {
      if (known.epoch === null) this.#rooms.delete(name);
      throw error;
    }
  }

  /** Leaves a room. */
  async part(room, reason = "") {
    await this.request({ do: "part", room, reason });
    this.#rooms.delete(room);
  }

  /**
   * Says something to `{room}` or `{nick}`, now or as soon as there is a connection, and exactly once. It is said when
   * the promise is kept; until then `pending` tells how it goes.
   */
  say(to, text, { manner = "message", reply } = {}) {
    if (this.#pending.length >= PENDING_MAX) {
      return Promise.reject(new Refused({ code: "too_many", message: "too much waits to be said already" }));
    }
    const nonce = `${this.#stem}.${++this.#nonces}`;
    return new Promise((resolve, reject) => {
      const item = { ask: { do: "say", ...to, text, manner, nonce, reply }, to, nonce, text, resolve, reject, tried: 0 };
      this.#pending.push(item);
      this.#tell("pending", { to, nonce, text, manner, reply, state: "sending" });
      this.#flush();
    });
  }

  /** Asks for something, as the schema has it; what came of it. Not sent again where the connection is lost. */
  request(ask) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new Gone());
      const ref = ++this.#asked;
      this.#waiting.set(ref, { resolve, reject });
      this.#socket.send(JSON.stringify({ ref, ...ask }));
    });
  }

  /** The last entry that is known of a room: {epoch, seq}. */
  place(room) {
    const known = this.#rooms.get(room);
    return known?.epoch == null ? null : { epoch: known.epoch, seq: known.last };
  }

  // The connection.

  #connect() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#tellState("connecting");
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    // A connection that is never opened nor refused.
    this.#quiet = setTimeout(() => this.#lost(socket, 1006, "no answer"), PATIENCE);
    socket.onmessage = ({ data }) => this.#socket === socket && this.#heard(data);
    socket.onclose = ({ code, reason }) => this.#lost(socket, code, reason);
  }

  #drop() {
    clearTimeout(this.#quiet);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.close();
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Gone());
    for (const known of this.#rooms.values()) known.early = null;
    this.#early = null;
  }

  #lost(socket, code, reason) {
    if (this.#socket !== socket) return;
    this.#drop();
    if (!this.#isWanted) return;
    if (!comesBack(code)) {
      this.#isWanted = false;
      this.#refusePending(new Gone());
      return this.#tellState("over", { code, reason });
    }
    const most = Math.min(WAIT_LONGEST, WAIT_FIRST * 2 ** this.#attempt);
    // Not all who were cut at once come back at once.
    const wait = most / 2 + Math.random() * (most / 2);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#tellState("waiting", { code, reason, wait });
  }

  #comeBackNow() {
    if (this.state === "waiting") this.#connect();
  }

  /** Does not wait any longer before it tries again. */
  retry() {
    this.#comeBackNow();
  }

  #heard(data) {
    this.#notQuiet();
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return this.#lost(this.#socket, 1007, "the server sent what is no JSON");
    }
    if ("re" in message) return this.#answered(message);
    if (message.event === "hello") return this.#greeted(message);
    if ("seq" in message && "epoch" in message) return this.#logged(message);
    if (message.event === "lost") return this.#missing(message);
    if (message.event === "membership" && !message.member) this.#rooms.delete(message.room);
    if (message.event === "parted" && message.who.id === this.you?.id) this.#rooms.delete(message.room);
    if (message.event === "renamed" && message.who.id === this.you?.id) {
      this.you = { ...this.you, nick: message.nick };
      if (this.#credentials?.nick) this.#credentials = { nick: message.nick };
    }
    this.#tell("live", message);
  }

  #notQuiet() {
    clearTimeout(this.#quiet);
    const socket = this.#socket;
    this.#quiet = setTimeout(() => {
      this.request({ do: "ping" }).catch(() => {});
      this.#quiet = setTimeout(() => this.#lost(socket, 1006, "the server is silent"), PATIENCE);
    }, QUIET);
  }

  #answered({ re, ok, error }) {
    const asked = this.#waiting.get(re);
    if (!asked) return;
    this.#waiting.delete(re);
    if (error) asked.reject(new Refused(error));
    else asked.resolve(ok);
  }

  #greeted(hello) {
    this.hello = hello;
    if (hello.version !== VERSION) {
      this.#isWanted = false;
      this.#drop();
      return this.#tellState("over", { code: 4500, reason: "the server speaks another version" });
    }
    if (hello.you) return this.#in(hello.you);
    if (!this.#credentials) return this.#tellState("hello");
    this.enter(this.#credentials).catch((error) => {
      if (error instanceof Gone) return;
      this.#credentials = null;
      this.#tellState("hello", { reason: error.message });
    });
  }

  async #in(you) {
    this.you = you;
    this.#attempt = 0;
    this.#early ??= [];
    // First what was missed: what was appended, though its answer was lost, is in it.
    for (const [name, known] of [...this.#rooms]) {
      try {
        await this.#join(name, known);
      } catch (error) {
        if (error instanceof Gone) return;
        this.#rooms.delete(name);
        this.#tell("live", { event: "shut_out", room: name, reason: error.message });
      }
    }
    try {
      await this.#resumeDirect();
    } catch (error) {
      if (error instanceof Gone) return;
      this.#releaseEarly();
    }
    this.#tellState("in");
    this.#flush();
  }

  // Conversations of two.

  /** What was missed in them, those too that were begun meanwhile. What was said before the first look is not told. */
  async #resumeDirect() {
    const { rooms } = await this.request({ do: "unread" });
    const there = rooms.filter(({ room }) => room.startsWith("@"));
    if (!this.#direct) {
      const first = (room) => Math.min(...(this.#early ?? []).filter((entry) => entry.room === room).map(({ seq }) => seq - 1));
      this.#direct = new Map(there.map(({ room, epoch, last }) => [room, { epoch, last: Math.min(last, first(room)) }]));
    } else {
      for (const { room, epoch, last } of there) await this.#catchUp(room, epoch, last);
    }
    this.#releaseEarly();
  }

  async #catchUp(room, epoch, last) {
    const known = this.#direct.get(room) ?? { epoch, last: 0 };
    if (known.epoch !== epoch) {
      this.#tell("lost", { room, through: 0, epoch });
      Object.assign(known, { epoch, last: 0 });
    }
    this.#direct.set(room, known);
    let more = last > known.last;
    while (more) {
      const { entries, lost, oldest, ...next } = await this.request({ do: "history", room, after: known.last, limit: GAP });
      if (lost) {
        this.#tell("lost", { room, through: oldest - 1, epoch });
        known.last = Math.max(known.last, oldest - 1);
      }
      for (const entry of entries) this.#take(known, entry);
      more = (next.more && entries.length > 0) || (lost && entries.length === 0 && last > known.last);
    }
  }

  #releaseEarly() {
    const early = this.#early ?? [];
    this.#early = null;
    for (const entry of early) this.#logged(entry);
  }

  // Rooms.

  async #join(name, known) {
    const resumed = known.epoch !== null;
    const after = resumed ? { epoch: known.epoch, seq: known.last } : undefined;
    // What comes live before the gap is filled waits for it.
    known.early = [];
    this.#rooms.set(name, known);
    let answer;
    try {
      const recent = resumed ? undefined : known.recent;
      answer = await this.request({ do: "join", room: name, password: known.password, after, recent });
      const { room, history, lost } = answer;
      if (resumed && lost) {
        this.#tell("lost", { room: name, through: history[0] ? history[0].seq - 1 : room.from.seq, epoch: room.from.epoch });
      }
      let missed = history;
      let more = answer.more;
      while (more && missed.length) {
        const last = missed[missed.length - 1].seq;
        const next = await this.request({ do: "history", room: name, after: last, before: room.from.seq + 1, limit: GAP });
        missed = missed.concat(next.entries);
        more = next.more && next.entries.length > 0;
      }
      if (known.epoch !== room.from.epoch) Object.assign(known, { epoch: room.from.epoch, last: 0 });
      this.#tell("joined", { room, history: resumed && !lost ? [] : missed, lost, resumed });
      if (resumed && !lost) for (const entry of missed) this.#take(known, entry);
      for (const entry of missed) this.#acknowledge(entry);
      // Also where one was put out of it meanwhile: one is in it again.
      this.#rooms.set(name, known);
      known.last = Math.max(known.last, room.from.seq);
    } catch (error) {
      known.early = null;
      throw error;
    }
    const early = known.early ?? [];
    known.early = null;
    for (const entry of early) this.#logged(entry);
    return answer;
  }

  #logged(entry) {
    const known = this.#rooms.get(entry.room);
    if (known?.early) return known.early.push(entry);
    if (known) return this.#take(known, entry);
    if (entry.room.startsWith("@")) {
      if (this.#early) return this.#early.push(entry);
      const place = this.#direct?.get(entry.room) ?? { epoch: entry.epoch, last: 0 };
      this.#direct?.set(entry.room, place);
      return this.#take(place, entry);
    }
    // A room that another session of ours is in.
    this.#acknowledge(entry);
    this.#tell("entry", entry);
  }

  /** An entry in its place: what is known already is passed over. */
  #take(known, entry) {
    if (entry.epoch === known.epoch && entry.seq <= known.last) return;
    Object.assign(known, { epoch: entry.epoch, last: entry.seq });
    // Whoever was put out does not go in again by themselves.
    if (entry.event === "kicked" && entry.who.id === this.you?.id) this.#rooms.delete(entry.room);
    this.#acknowledge(entry);
    this.#tell("entry", entry);
  }

  #missing({ room, through }) {
    const known = this.#rooms.get(room);
    if (known) known.last = Math.max(known.last, through);
    this.#tell("lost", { room, through });
  }

  // What is said.

  #acknowledge(entry) {
    if (!entry.nonce?.startsWith(this.#stem)) return;
    const at = this.#pending.findIndex((item) => item.nonce === entry.nonce);
    if (at >= 0) this.#done(this.#pending.splice(at, 1)[0], entry);
  }

  #done(item, { room, epoch, seq }) {
    this.#tell("pending", { to: item.to, nonce: item.nonce, text: item.text, state: "said", room, epoch, seq });
    item.resolve({ room, epoch, seq });
  }

  /** One after the other, so that they stand in the order in which they were said. */
  async #flush() {
    if (this.#isFlushing || this.state !== "in") return;
    this.#isFlushing = true;
    try {
      while (this.#pending.length && this.state === "in") {
        const item = this.#pending[0];
        try {
          const logged = await this.request(item.ask);
          const at = this.#pending.indexOf(item);
          if (at >= 0) this.#done(this.#pending.splice(at, 1)[0], logged);
        } catch (error) {
          if (error instanceof Gone) return;
          const at = this.#pending.indexOf(item);
          if (at >= 0) this.#pending.splice(at, 1);
          this.#refuse(item, error);
        }
      }
    } finally {
      this.#isFlushing = false;
    }
  }

  #refuse(item, error) {
    this.#tell("pending", { to: item.to, nonce: item.nonce, text: item.text, state: "refused", error });
    item.reject(error);
  }

  #refusePending(error) {
    for (const item of this.#pending.splice(0)) this.#refuse(item, error);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #tellState(state, more = {}) {
    this.state = state;
    this.#tell("state", { state, ...more });
  }
}

/** Whether a connection that was closed with this code is worth coming back for. */
export function comesBack(code) {
  return !((code >= 3500 && code <= 3999) || (code >= 4500 && code <= 4999));
}

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_");
}
