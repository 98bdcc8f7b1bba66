// The page at `/`: a form for each endpoint of openapi.json, and the exchange that comes of it.

const METHODS = ["get", "post", "put", "patch", "delete"];
// So much of an answer is shown; an answer without an end keeps its last part.
const SHOWN = 200_000;

/** Whether somebody logged in here: the cookie is not for scripts to see, and to ask without one is an error in the console. */
const session = {
  key: "bandy.session",
  begin() {
    this.keep((storage) => storage.setItem(this.key, "begun"));
  },
  end() {
    this.keep((storage) => storage.removeItem(this.key));
  },
  isLikely() {
    return this.keep((storage) => storage.getItem(this.key)) !== null;
  },
  // A browser may be told to keep nothing. Then asking is the only way.
  keep(act) {
    try {
      return act(localStorage);
    } catch {
      return undefined;
    }
  },
};

const byId = (id) => document.getElementById(id);

/** An element with a class and content. */
function make(tag, name, ...content) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...content);
  return element;
}

start();

async function start() {
  byId("where").textContent = location.host;
  showSession();
  try {
    const response = await fetch("openapi.json");
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    show(await response.json());
    byId("notice").remove();
  } catch (error) {
    byId("notice").textContent = `What there is could not be read: ${error.message}.`;
  }
}

/** What stands before every path: a route may have put the server below one. */
let base = "";

function show(api) {
  base = api.servers[0].url.replace(/\/$/, "");
  const rows = endpoints(api);
  for (const tag of api.tags) {
    const mine = rows.filter((row) => row.tag === tag.name);
    const group = make("section", "group", make("h2", "", tag.name), make("p", "", tag.description));
    const list = make("ul");
    for (const row of mine) {
      const card = endpoint(row);
      group.append(card);
      const known = [...list.querySelectorAll("a")].find((link) => link.textContent === row.path);
      if (known) {
        known.dataset.rows += ` ${card.id}`;
        continue;
      }
      const link = make("a", "to", row.path);
      link.href = `#${card.id}`;
      link.title = row.path;
      link.dataset.rows = card.id;
      list.append(make("li", "", link));
    }
    byId("sections").append(group);
    const heading = make("h2", "", tag.name);
    const part = make("div", "part", heading, list);
    byId("contents").append(part);
  }
  openTarget();
  addEventListener("hashchange", openTarget);
  byId("find").addEventListener("input", (event) => find(event.target.value));
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select");
    if (event.key === "/" && !isTyping) {
      event.preventDefault();
      byId("find").focus();
    }
  });
}

/** The document's operations; those of one path that are the same but for their method are one. */
function endpoints(api) {
  const rows = [];
  for (const [path, operations] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((method) => operations[method])) {
      const operation = operations[method];
      const same = rows.find((row) => row.path === path && row.summary === operation.summary);
      if (same) same.methods.push(method);
      else rows.push({ path, methods: [method], operation, tag: operation.tags[0], summary: operation.summary, all: operations });
    }
  }
  return rows;
}

function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const is = (element) => words.every((word) => element.dataset.text.includes(word));
  for (const card of document.querySelectorAll(".row")) card.hidden = !is(card);
  for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector(".row:not([hidden])");
  for (const link of document.querySelectorAll("a.to")) link.parentElement.hidden = link.dataset.rows.split(" ").every((id) => byId(id).hidden);
  for (const part of document.querySelectorAll(".part")) part.hidden = !part.querySelector("li:not([hidden])");
}

/** One endpoint: what it is, a form, and the place for its answer. */
function endpoint(row) {
  const card = byId("row").content.firstElementChild.cloneNode(true);
  const part = (name) => card.querySelector(`.${name}`);
  const operation = row.operation;
  card.id = operation.operationId;
  card.dataset.text = `${row.methods.join(" ")} ${row.path} ${row.summary}`.toLowerCase();
  const isAny = row.methods.length > 1;
  part("methods").append(make("span", `method ${isAny ? "any" : row.methods[0]}`, isAny ? "ANY" : row.methods[0].toUpperCase()));
  for (const piece of row.path.split(/(\{[^}]*\})/)) part("path").append(piece.startsWith("{") ? make("i", "", piece) : piece);
  part("what").textContent = row.summary;
  if (operation.security) {
    const needed = operation.security.every((one) => Object.keys(one).length);
    const who = operation["x-role"] ?? (needed ? "login" : "by rules");
    card.querySelector("summary").append(make("span", "lock", who));
  }
  about(part("about"), operation.description);
  for (const [status, answer] of Object.entries(operation.responses)) {
    part("answers").querySelector("dl").append(make("dt", "", status), make("dd", "", answer.description));
  }
  const form = part("ask");
  // The form is made when it is first seen: there are many, and few are opened.
  card.addEventListener("toggle", () => {
    if (card.open && !form.dataset.made) {
      form.dataset.made = "1";
      fields(part("fields"), row);
      if (row.path === "/ws") talk(card);
      else form.addEventListener("submit", (event) => (event.preventDefault(), send(card, row)));
    }
  });
  part("curl").addEventListener("click", async () => {
    await navigator.clipboard.writeText(curl(question(form, row)));
    part("said").textContent = "copied";
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  return card;
}

/** Text with `code` in it. */
function about(element, text = "") {
  for (const [at, piece] of text.split("`").entries()) element.append(at % 2 ? make("code", "", piece) : piece);
}

function fields(place, row) {
  const { operation } = row;
  if (row.methods.length > 1) {
    const select = make("select", "", ...row.methods.map((method) => make("option", "", method.toUpperCase())));
    place.append(field("method", "", select, "method"));
  }
  for (const parameter of operation.parameters ?? []) {
    const input = make(parameter.schema.enum ? "select" : "input");
    if (parameter.schema.enum) input.append(make("option", "", ""), ...parameter.schema.enum.map((word) => make("option", "", word)));
    else input.placeholder = parameter.required ? "" : (parameter.example ?? "");
    if (parameter.required) input.value = parameter.example ?? "";
    input.required = parameter.required;
    input.dataset.in = parameter.in;
    input.spellcheck = false;
    const kind = parameter.in === "query" ? "" : parameter.in;
    place.append(field(parameter.name, kind, input, "", parameter.description));
  }
  if (row.path === "/records/{collection}") {
    const more = make("input");
    more.dataset.in = "more";
    more.placeholder = "price>=3&name~=te";
    if (row.methods[0] === "get") place.append(field("filter", "", more, "", "Filters, as they stand in the query."));
  }
  const withBody = METHODS.map((method) => row.all[method]?.requestBody).find((body, at) => body && row.methods.includes(METHODS[at]));
  if (withBody) {
    const types = Object.keys(withBody.content);
    const first = withBody.content[types[0]];
    const text = make("textarea");
    text.spellcheck = false;
    text.value = first.example === undefined ? "" : JSON.stringify(first.example, null, 2);
    text.dataset.in = "body";
    text.dataset.type = types[0] === "*/*" ? "text/plain" : types[0];
    place.append(field("body", text.dataset.type, text, "wide"));
  }
}

function field(name, kind, input, wide = "", hint = "") {
  input.name = name;
  const label = make("label", `field ${wide === "wide" ? "wide" : ""}`, make("span", "name", name, " ", make("em", "", kind)), input);
  if (hint) {
    const told = make("span", "hint");
    about(told, hint);
    label.append(told);
  }
  return label;
}

/** What the form asks. */
function question(form, row) {
  const inputs = [...form.querySelectorAll("input, select, textarea")];
  let path = row.path;
  const query = [];
  const headers = {};
  let body;
  let method = row.methods[0].toUpperCase();
  for (const input of inputs) {
    const { value } = input;
    const place = input.dataset.in;
    if (input.name === "method" && !place) method = value;
    else if (place === "path") path = path.replace(`{${input.name}}`, value.split("/").map(encodeURIComponent).join("/"));
    else if (place === "query" && value !== "") query.push(`${encodeURIComponent(input.name)}=${encodeURIComponent(value)}`);
    else if (place === "more" && value !== "") query.push(value);
    else if (place === "header" && value !== "") headers[input.name] = value;
    else if (place === "body" && method !== "GET") {
      body = value;
      if (value !== "") headers["Content-Type"] = input.dataset.type;
    }
  }
  const target = base + path + (query.length ? `?${query.join("&")}` : "");
  return { method, target, headers, body: body || undefined };
}

async function send(card, row) {
  const part = (name) => card.querySelector(`.${name}`);
  const form = part("ask");
  const asked = question(form, row);
  const stopper = new AbortController();
  const stop = part("stop");
  stop.onclick = () => stopper.abort();
  stop.hidden = false;
  part("said").textContent = "";
  part("answer").hidden = false;
  part("request").textContent = `${asked.method} ${asked.target}`;
  const verdict = (text, kind) => {
    part("status").textContent = text;
    part("status").className = `status ${kind}`;
  };
  verdict("…", "");
  part("took").textContent = "";
  part("headers").replaceChildren();
  part("body").replaceChildren();
  const began = performance.now();
  const took = () => `${(performance.now() - began).toFixed(0)} ms`;
  let bytes = 0;
  try {
    const { method, headers, body } = asked;
    const response = await fetch(asked.target, { method, headers, body, signal: stopper.signal });
    if (row.path === "/login" && response.ok) session.begin();
    if (["/logout", "/password"].includes(row.path) && response.ok) session.end();
    const kind = response.status >= 400 ? "bad" : response.redirected ? "turn" : "good";
    verdict(`${response.status} ${response.statusText}`.trim(), kind);
    part("took").textContent = took();
    if (response.redirected) part("request").textContent += `  →  ${new URL(response.url).pathname}`;
    for (const [name, value] of response.headers) part("headers").append(make("b", "", name), `: ${value}\n`);
    const type = response.headers.get("content-type") ?? "";
    const isLive = type.startsWith("text/event-stream") || row.operation["x-endless"];
    let text = "";
    const decoder = new TextDecoder();
    for await (const piece of pieces(response)) {
      bytes += piece.length;
      if (text.length < SHOWN || isLive) text += decoder.decode(piece, { stream: true });
      if (isLive) {
        text = text.slice(-SHOWN);
        part("body").textContent = text;
        part("body").scrollTop = part("body").scrollHeight;
        part("took").textContent = `${took()}, ${size(bytes)} so far`;
      }
    }
    if (!isLive) pretty(part("body"), text, type);
    if (!isLive && bytes > text.length && text.length >= SHOWN) part("body").append(`\n… of ${size(bytes)}`);
    part("took").textContent = `${took()}, ${size(bytes)}`;
  } catch (error) {
    if (error.name === "AbortError") part("took").textContent = `stopped after ${took()}, ${size(bytes)}`;
    else verdict(`no answer: ${error.message}`, "bad");
  } finally {
    stop.hidden = true;
  }
  if (row.tag === "accounts") showSession();
}

async function* pieces(response) {
  const reader = response.body?.getReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function size(bytes) {
  if (bytes === 1) return "1 byte";
  return bytes < 10_000 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(0)} KiB`;
}

/** JSON with colours, anything else as it is. */
function pretty(place, text, type) {
  if (!/[/+]json/.test(type) || text.length > SHOWN) {
    place.textContent = text;
    return;
  }
  let shown = text;
  try {
    shown = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    place.textContent = text;
    return;
  }
  // Whole numbers that a double cannot hold would be shown as others.
  if (/\d{16}/.test(text)) shown = text;
  const token = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)/g;
  let at = 0;
  for (const match of shown.matchAll(token)) {
    place.append(shown.slice(at, match.index));
    const [all, string, colon, number] = match;
    const kind = string ? (colon ? "key" : "string") : number ? "number" : "word";
    place.append(make("span", kind, string ?? all), colon ?? "");
    at = match.index + all.length;
  }
  place.append(shown.slice(at));
}

function curl({ method, target, headers, body }) {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const parts = ["curl", "-i"];
  if (method !== "GET") parts.push("-X", method);
  for (const [name, value] of Object.entries(headers)) parts.push("-H", quote(`${name}: ${value}`));
  if (body !== undefined) parts.push("--data-binary", quote(body));
  parts.push(quote(location.origin + target));
  return parts.join(" ");
}

/** The WebSocket's own form: connect, say something, see what comes. */
function talk(card) {
  const part = (name) => card.querySelector(`.${name}`);
  const form = part("ask");
  const input = make("input");
  input.value = "Hello";
  part("fields").append(field("message", "", input, "wide"));
  part("curl").hidden = true;
  const log = (text, name = "") => {
    part("body").append(make("span", name, `${text}\n`));
    part("body").scrollTop = part("body").scrollHeight;
  };
  let socket;
  const connected = () =>
    new Promise((done, failed) => {
      if (socket?.readyState === WebSocket.OPEN) return done();
      const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${base}/ws`;
      part("answer").hidden = false;
      part("request").textContent = url;
      part("status").textContent = "connecting…";
      socket = new WebSocket(url);
      socket.onopen = () => {
        part("status").textContent = "connected";
        part("status").className = "status good";
        part("stop").hidden = false;
        done();
      };
      socket.onmessage = (event) => log(`← ${event.data}`);
      socket.onclose = (event) => {
        part("status").textContent = `closed (${event.code})`;
        part("status").className = "status turn";
        part("stop").hidden = true;
        failed();
      };
    });
  part("stop").onclick = () => socket?.close(1000);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await connected().then(
      () => {
        socket.send(input.value);
        log(`→ ${input.value}`, "mine");
      },
      () => {},
    );
  });
}

/** Who is logged in, above. */
async function showSession() {
  const place = byId("session");
  const response = session.isLikely() ? await fetch("profile").catch(() => undefined) : undefined;
  if (response?.status === 401) session.end();
  if (response?.ok) {
    const { user } = await response.json();
    const leave = make("button", "quiet", "Log out");
    leave.onclick = async () => {
      await fetch("logout", { method: "POST" });
      session.end();
      showSession();
    };
    place.replaceChildren(make("span", "", "You are ", make("b", "", user)), leave);
  } else {
    const enter = make("a", "", "Log in");
    enter.href = "#post_login";
    const join = make("a", "", "Register");
    join.href = "#post_register";
    place.replaceChildren(enter, join);
  }
}
