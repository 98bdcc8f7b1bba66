// The live page: asks for the status once a second, and shows what changed between two answers.

import { plot, spark } from "./plot.js";

const EVERY = 1000;
const SPAN = 180_000;
const LEAST = 30_000;
const PATIENCE = 5000;

const by = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token");
let before = null;
let history = [];

// Elements without HTML in strings: names come from configurations.
function make(name, fields = {}, ...inside) {
  const made = document.createElement(name);
  for (const [field, value] of Object.entries(fields)) {
    if (field in made) made[field] = value;
    else made.setAttribute(field, value);
  }
  made.append(...inside);
  return made;
}

// Numbers for people.

const plain = (n, digits) => n.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 });

function count(n) {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e4]]) {
    if (n >= size) return plain(n / (size === 1e4 ? 1e3 : size), 1) + unit;
  }
  return plain(n, n > 0 && n < 10 ? 1 : 0);
}

function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (n >= size) return `${plain(n / size, n / size < 10 ? 1 : 0)} ${unit}`;
  }
  return `${plain(n, 0)} B`;
}

function ms(n) {
  if (n === null) return "–";
  return n >= 1000 ? `${plain(n / 1000, 1)} s` : `${plain(n, n < 10 ? 1 : 0)} ms`;
}

function span(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// What happened between two answers.

const sum = (list, of) => list.reduce((all, one) => all + of(one), 0);
const backends = (status) => status.pools.flatMap((pool) => pool.backends.map((backend) => ({ pool, backend, id: `${pool.name} ${backend.name}` })));

function totals(status) {
  const answers = (sort) => sum(status.servers, (server) => server.responses[sort]);
  return {
    good: answers("1xx") + answers("2xx") + answers("3xx"),
    client: answers("4xx"),
    server: answers("5xx"),
    accepted: sum(status.servers, (server) => server.connections.total),
    received: sum(status.servers, (server) => server.bytes.received),
    sent: sum(status.servers, (server) => server.bytes.sent),
  };
}

// Within which time this share of what is in the buckets was done: a straight line through the bucket it is in.
function quantile(buckets, share) {
  const all = sum(buckets, ([, n]) => n);
  if (all <= 0) return null;
  let [left, low] = [share * all, 0];
  for (const [high, n] of buckets) {
    if (n >= left && n > 0) return high === null ? low : low + (high - low) * (left / n);
    left -= n;
    low = high ?? low;
  }
  return low;
}

const minus = (now, then) => now.map(([bound, n], i) => [bound, Math.max(0, n - (then?.[i]?.[1] ?? 0))]);

function added(lists) {
  if (lists.length === 0) return [];
  return lists[0].map(([bound], i) => [bound, sum(lists, (list) => list[i][1])]);
}

function point(now, at) {
  if (!before) return null;
  const seconds = (at - before.at) / 1000;
  const [new_, old] = [totals(now), totals(before.status)];
  const found = { at, open: sum(now.servers, (server) => server.connections.open), each: {} };
  for (const name of Object.keys(new_)) found[name] = Math.max(0, new_[name] - old[name]) / seconds;
  const known = new Map(backends(before.status).map((entry) => [entry.id, entry.backend]));
  const all = [];
  for (const { id, backend } of backends(now)) {
    const then = known.get(id);
    const rate = (name) => Math.max(0, backend[name] - (then?.[name] ?? backend[name])) / seconds;
    const took = minus(backend.latency.buckets, then?.latency.buckets ?? backend.latency.buckets);
    all.push(took);
    found.each[id] = { rate: rate("total"), failed: rate("failed"), p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
  }
  const took = added(all);
  return { ...found, p50: quantile(took, 0.5), p99: quantile(took, 0.99) };
}

// Asking.

async function ask(path, options = {}) {
  const headers = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...options.headers };
  const response = await fetch(path, { ...options, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const said = await response.json();
  if (response.ok) return said;
  const detail = said.detail ?? said.errors?.map(({ field, detail }) => `${field}: ${detail}`).join("; ") ?? said.title;
  throw Object.assign(new Error(detail), { status: response.status });
}

async function look() {
  try {
    const status = await ask("status");
    by("token").hidden = true;
    heard(status, performance.now());
  } catch (error) {
    if (error.status === 401) {
      wantToken();
      return;
    }
    pulse("lost", error.status ? error.message : "no answer");
    before = null;
    if (history.length > 0) history.push({ at: performance.now(), gap: true });
  }
  setTimeout(look, EVERY);
}

function wantToken() {
  by("token").hidden = false;
  by("wrong").textContent = token ? "That is not it." : "";
  pulse("lost", "no token");
  token = null;
  by("secret").focus();
}

by("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("secret").value.trim();
  sessionStorage.setItem("token", token);
  by("secret").value = "";
  look();
});

async function change(pool, name, what) {
  try {
    await ask(`pools/${encodeURIComponent(pool)}/backends/${encodeURIComponent(name)}`, { method: "POST", body: JSON.stringify(what) });
    by("problem").hidden = true;
    const status = await ask("status");
    shown(status);
  } catch (error) {
    by("problem").textContent = `${name}: ${error.message}`;
    by("problem").hidden = false;
  }
}

// Showing.

function pulse(kind, text) {
  by("pulse").className = `pulse ${kind}`;
  by("pulse").textContent = text;
}

function heard(status, at) {
  // Another process counts from nothing.
  if (before && before.status.pid !== status.pid) [before, history] = [null, []];
  const found = point(status, at);
  if (found) history.push(found);
  history = history.filter((entry) => entry.at > at - SPAN - EVERY);
  before = { status, at };
  pulse("live", `up ${span(status.uptime_s)}`);
  by("where").textContent = `${location.host} · ${status.version} · pid ${status.pid}`;
  shown(status);
}

function shown(status) {
  const last = history.findLast((entry) => !entry.gap);
  for (const id of ["now", "plots", "foot"]) by(id).hidden = false;
  const to = performance.now();
  const times = { from: Math.max(to - SPAN, Math.min(to - LEAST, history[0]?.at ?? to)), to };
  const line = (hue, of) => ({ hue, points: history.map((entry) => [entry.at, entry.gap ? null : of(entry)]) });
  tiles(status, last);
  plots(status, times, line);
  const pools = status.pools.map((pool) => ofPool(pool, last, times, line));
  const shownAre = [...by("pools").children];
  if (pools.length !== shownAre.length || pools.some((pool, i) => pool !== shownAre[i])) by("pools").replaceChildren(...pools);
  by("servers").replaceChildren(ofServers(status));
}

function tiles(status, last) {
  const tile = (name, value, unit, below, kind = "") =>
    make("div", { className: `tile ${kind}` }, make("h3", {}, name), make("b", {}, value, make("small", {}, ` ${unit}`)), make("span", {}, below));
  const answers = last ? last.good + last.client + last.server : 0;
  const all = backends(status);
  const ready = all.filter(({ backend }) => backend.ready).length;
  const found = [
    tile("Requests", count(answers), "/s", `${count(sum(status.servers, ({ responses }) => sum(Object.values(responses), (n) => n)))} in all`),
    tile("Errors", count(last?.server ?? 0), "5xx/s", `${count(sum(status.servers, ({ responses }) => responses["5xx"]))} in all`, last?.server > 0 ? "bad" : ""),
    tile("Connections", count(sum(status.servers, ({ connections }) => connections.open)), "open", `${count(last?.accepted ?? 0)} new /s`),
    tile("Traffic", bytes(last ? last.received + last.sent : 0), "/s", `${bytes(sum(status.servers, (s) => s.bytes.received + s.bytes.sent))} in all`),
  ];
  if (all.length > 0) {
    found.push(
      tile("Latency", ms(last?.p50 ?? null), "median", `${ms(last?.p99 ?? null)} at p99`),
      tile("Backends", `${ready}`, `of ${all.length} ready`, `${count(sum(all, ({ backend }) => backend.active))} leases out`, ready < all.length ? "bad" : ""),
    );
  }
  by("now").replaceChildren(...found);
}

function plots(status, times, line) {
  // As wide as it will be, so that its text is as large as any.
  const [all, columns] = [by("plots").clientWidth, getComputedStyle(by("plots")).gridTemplateColumns.split(" ").length];
  const width = Math.max(240, (all - (columns - 1) * 12) / columns - 30);
  const figure = (title, series, format, label, base) => {
    const legend = series.length > 1
      ? make("ul", { className: "legend" }, ...series.map(({ hue, name }) => make("li", { className: hue }, name)))
      : "";
    return make("figure", { className: "plot" }, make("figcaption", {}, make("h3", {}, title), legend), plot({ series, format, label, width, base, ...times }));
  };
  const named = (name, hue, of) => ({ name, ...line(hue, of) });
  const found = [
    figure("Requests per second", [
      named("answered", "one", (p) => p.good), named("4xx", "two", (p) => p.client), named("5xx", "three", (p) => p.server),
    ], count, "Requests per second over the last three minutes"),
  ];
  if (status.pools.length > 0) {
    found.push(figure("Latency of backends", [named("p99", "two", (p) => p.p99), named("median", "one", (p) => p.p50)], ms,
      "Latency of backends over the last three minutes"));
  }
  found.push(
    figure("Open connections", [named("open", "one", (p) => p.open)], count, "Open connections over the last three minutes"),
    figure("Bytes per second", [named("sent", "one", (p) => p.sent), named("received", "two", (p) => p.received)], bytes,
      "Bytes per second over the last three minutes", 1024),
  );
  by("plots").replaceChildren(...found);
}

const cell = (is, className, ...inside) => make("td", is ? { className, "data-is": is } : { className }, ...inside);
const head = (...names) => make("thead", {}, make("tr", {}, ...names.map(([name, className = ""]) => make("th", { className, scope: "col" }, name))));

// A pool's table is made once, and then filled in: what somebody types into or points at stays where it is.
const tables = new Map();

function ofPool(pool, last, times, line) {
  const who = JSON.stringify([pool.name, ...pool.backends.map(({ name }) => name)]);
  if (!tables.has(who)) tables.set(who, newTable(pool));
  const { article, said, panic, rows } = tables.get(who);
  const words = [pool.strategy, `${count(pool.retries)} ${pool.retries === 1 ? "retry" : "retries"}`];
  if (pool.waiting > 0) words.push(`${count(pool.waiting)} waiting`);
  if (pool.overloaded > 0) words.push(`${count(pool.overloaded)} without a place`);
  if (pool.unready > 0) words.push(`${count(pool.unready)} with nobody ready`);
  said.textContent = words.join(" · ");
  panic.hidden = !pool.panic;
  pool.backends.forEach((backend, i) => {
    const id = `${pool.name} ${backend.name}`;
    rows[i](backend, last?.each[id], spark({
      ...line(backend.ready ? "one" : "three", (entry) => entry.each[id]?.rate ?? null), label: "requests per second", ...times,
    }));
  });
  return article;
}

function newTable(pool) {
  const said = make("p");
  const panic = make("span", { className: "badge" }, "panic: too few are well");
  const rows = pool.backends.map((backend) => newRow(pool.name, backend));
  const article = make("article", { className: "box pool" },
    make("header", {}, make("h2", {}, `Pool ${pool.name}`), said, panic),
    make("table", {},
      head(["Backend"], ["State"], ["Weight", "number"], ["Active", "number"], ["Per second", "number"], [""], ["Failed", "number"], ["Median", "number"], ["p99", "number"], [""]),
      make("tbody", {}, ...rows.map(({ row }) => row))));
  return { article, said, panic, rows: rows.map(({ fill }) => fill) };
}

function newRow(pool, { name }) {
  let backend;
  const weight = make("input", { className: "weight", type: "number", min: 1, max: 1000, ariaLabel: `Weight of ${name}` });
  weight.addEventListener("change", () => change(pool, name, { weight: Number(weight.value) }));
  const drain = make("button", { className: "quiet", type: "button" });
  drain.addEventListener("click", async () => {
    drain.disabled = true;
    await change(pool, name, { drain: !backend.draining });
    drain.disabled = false;
  });
  const [state, since] = [make("span"), make("span", { className: "since" })];
  const cells = {
    active: cell("active", "number"),
    rate: cell("per second", "number"),
    spark: cell("", "spark"),
    failed: cell("failed", "number"),
    p50: cell("median", "number"),
    p99: cell("p99", "number"),
  };
  const row = make("tr", {}, cell("", "name wide", name), cell("", "", state, make("br"), since), cell("weight", "number", weight),
    ...Object.values(cells), cell("", "act", drain));
  row.dataset.backend = name;
  const fill = (next, now, drawn) => {
    backend = next;
    const is = backend.draining ? "draining" : backend.state;
    state.className = `state ${is}`;
    state.textContent = is;
    since.textContent = sinceWhen(backend);
    if (document.activeElement !== weight) weight.value = backend.weight;
    drain.textContent = backend.draining ? "Ready" : "Drain";
    cells.active.textContent = backend.max === null ? count(backend.active) : `${count(backend.active)} of ${count(backend.max)}`;
    cells.rate.textContent = count(now?.rate ?? 0);
    cells.spark.replaceChildren(drawn);
    cells.failed.textContent = count(backend.failed);
    cells.failed.classList.toggle("hot", now?.failed > 0);
    cells.p50.textContent = ms(now?.p50 ?? null);
    cells.p99.textContent = ms(now?.p99 ?? null);
  };
  return { row, fill };
}

function sinceWhen(backend) {
  if (backend.draining) return backend.active ? `${count(backend.active)} to finish` : "nothing left to finish";
  if (backend.ejected_for_s) return `for ${span(backend.since_s)}, ${span(backend.ejected_for_s)} to go`;
  if (backend.warmth < 1) return `warming up: ${Math.round(backend.warmth * 100)} %`;
  return `for ${span(backend.since_s)}`;
}

function ofServers(status) {
  const rows = status.servers.map((server) => make("tr", {},
    cell("server", "name wide", server.name),
    cell("service", "", server.service),
    cell("listens on", "name wide", server.listen.join("  ")),
    cell("open", "number", count(server.connections.open)),
    cell("accepted", "number", count(server.connections.total)),
    cell("responses", "number", count(sum(Object.values(server.responses), (n) => n))),
    cell("received", "number", bytes(server.bytes.received)),
    cell("sent", "number", bytes(server.bytes.sent))));
  return make("article", { className: "box" },
    make("header", {}, make("h2", {}, "Servers")),
    make("table", {},
      head(["Name"], ["Service"], ["Listens on"], ["Open", "number"], ["Accepted", "number"], ["Responses", "number"], ["Received", "number"], ["Sent", "number"]),
      make("tbody", {}, ...rows)));
}

look();
