// The page: what comes from api/events each second goes into a few numbers, charts and tables.

import { CLASSES, CLASS_NAMES, Latency, Traffic, columnAt, columnsOf, quantileOf } from "./drawing.js";
import { $, age, bytes, duration, make, put, short, sync, whole, words } from "./writing.js";

const KEPT_SECONDS = 600;
const RUNNING_MILLISECONDS = 2000;
const SILENCE_MILLISECONDS = 5000; // there should be a tick each second
const EVENTS_KEPT = 200;
const SLOW = { warn: 1, bad: 10 }; // seconds of a request that runs

const state = {
  samples: [], shape: { rows: 4, least_power: -20 }, tick: null, session: { read: true, act: false, token: false },
  seconds: 300, cross: null, paused: false, before: new Map(), events: [], stream: null, connected: false,
};

// --- what is shown ---------------------------------------------------------------------------

function lastSeconds(seconds) {
  const end = state.samples.length ? state.samples[state.samples.length - 1].t : 0;
  return state.samples.filter((each) => each.t > end - seconds);
}

function showTiles({ status, recent }) {
  const few = lastSeconds(5);
  const seconds = few.reduce((sum, each) => sum + each.s, 0) || 1;
  const count = (samples, names) => samples.reduce(
    (sum, each) => sum + Object.entries(each.n).reduce((n, [name, one]) => n + (names.includes(name) ? one : 0), 0), 0);
  put("tile-rate", `${short(count(few, CLASSES) / seconds)}/s`);
  const sum = (name) => few.reduce((total, each) => total + each[name], 0) / seconds;
  put("note-rate", `${bytes(Math.round(sum("i")))}/s in, ${bytes(Math.round(sum("o")))}/s out`);
  const minute = lastSeconds(60);
  const all = count(minute, CLASSES);
  const bad = count(minute, ["5xx", "none"]);
  const share = all ? bad / all : 0;
  put("tile-errors", all ? `${(share * 100).toFixed(share && share < 0.1 ? 2 : share < 0.995 ? 1 : 0)} %` : "–",
    share > 0.05 ? "bad" : share > 0 ? "warn" : "");
  put("note-errors", `${whole.format(bad)} of ${short(all)} in a minute`);
  const [p50, p90, p99] = recent.latency || [];
  put("tile-p50", duration(p50));
  put("note-p50", `90 % in ${duration(p90)}`);
  put("tile-p99", duration(p99));
  put("note-p99", recent.queue ? `queue: 99 % in ${duration(recent.queue[2])}` : "");
  const total = (name) => status.workers.reduce((n, each) => n + (each[name] || 0), 0);
  const [busy, threads] = [total("busy"), total("threads")];
  put("tile-busy", `${busy} / ${threads}`, threads && busy >= threads ? "warn" : "");
  put("note-busy", total("queued") ? `${whole.format(total("queued"))} requests wait` : "none waits");
  put("tile-connections", short(total("connections")));
  const refused = few.reduce((n, each) => n + each.r, 0) / seconds;
  put("note-connections", refused ? `${short(refused)}/s refused or cut off` : "none refused");
}

function showHead({ status }) {
  put("application", status.application || "Breezeway");
  document.title = `${status.application || "Breezeway"} · ${status.state}`;
  put("facts", `${status.listeners.join(", ")} · up ${age(status.uptime)} · pid ${status.pid}`);
  put("state", status.state, status.state === "serving" ? "good" : "warn");
  put("version", `Breezeway ${status.version}${status.python ? `, Python ${status.python}` : ""}`);
}

const alarms = new Map();

function showAlarms({ status }) {
  const found = new Map();
  const hung = status.workers.filter((each) => each.state === "hung").length;
  if (hung) found.set("hung", ["bad", `${hung} ${hung === 1 ? "worker hangs" : "workers hang"}`]);
  const ready = status.workers.filter((each) => each.state === "ready").length;
  if (!ready) found.set("ready", ["bad", "No worker is ready: requests wait"]);
  if (status.state === "stopping") found.set("stopping", ["warn", "The server is stopping"]);
  const minute = lastSeconds(60);
  const all = minute.reduce((n, each) => n + Object.values(each.n).reduce((a, b) => a + b, 0), 0);
  const bad = minute.reduce((n, each) => n + (each.n["5xx"] || 0) + (each.n.none || 0), 0);
  if (all >= 20 && bad / all > 0.05) found.set("errors", ["bad", "More than 5 % of the requests of the last minute failed"]);
  if (state.pid !== status.pid) Object.assign(state, { pid: status.pid, firstDeaths: status.deaths });
  const deaths = status.deaths - state.firstDeaths;
  if (deaths > 0) found.set(`deaths ${deaths}`, ["bad", `${deaths} ${deaths === 1 ? "worker has" : "workers have"} died since this page was opened`]);
  putAlarms(found);
}

function putAlarms(found) {
  for (const [key, element] of alarms) {
    if (!found.has(key)) { element.remove(); alarms.delete(key); }
  }
  for (const [key, [mood, text]] of found) {
    if (alarms.has(key)) continue;
    const element = make("p", { textContent: text, data: { state: mood } });
    alarms.set(key, element);
    $("alarms").append(element);
  }
}

const CONNECTION_COLOURS = {
  busy: "--class-2xx", sending: "--class-3xx", reading_body: "--heat-3", reading_head: "--class-4xx",
  idle: "--class-1xx", lingering: "--class-none",
};

function pairs(list, rows) {
  sync(list, rows, (row) => row.name,
    (row) => {
      const term = make("dt", {}, row.name);
      if (row.colour) {
        const swatch = make("span", { className: "swatch" });
        swatch.style.setProperty("--swatch", `var(${row.colour})`);
        term.prepend(swatch);
      }
      return make("div", {}, term, make("dd"));
    },
    (element, row) => put(element.lastChild, row.value));
}

function showConnections({ status }) {
  const states = {};
  for (const worker of status.workers) {
    for (const [name, n] of Object.entries(worker.connection_states || {})) states[name] = (states[name] || 0) + n;
  }
  const total = status.workers.reduce((n, each) => n + each.connections, 0);
  put("connections-total", `${whole.format(total)} open`);
  const rows = Object.entries(CONNECTION_COLOURS).filter(([name]) => name in states)
    .map(([name, colour]) => ({ name: words(name), colour, count: states[name], value: whole.format(states[name]) }));
  sync($("connections-bar"), rows.filter((row) => row.count), (row) => row.name,
    (row) => { const span = make("span"); span.style.setProperty("--swatch", `var(${row.colour})`); return span; },
    (element, row) => { element.style.flexGrow = row.count; });
  pairs($("connections"), rows);
}

function showErrors({ status, totals }) {
  const classes = {};
  for (const each of totals.requests) classes[each.status] = (classes[each.status] || 0) + each.count;
  const rows = CLASSES.filter((name) => classes[name])
    .map((name) => ({ name: CLASS_NAMES[name], colour: `--class-${name}`, value: whole.format(classes[name]) }));
  for (const [name, n] of Object.entries(status.counters)) rows.push({ name: words(name), value: whole.format(n) });
  rows.push({ name: "worker deaths", value: whole.format(status.deaths) });
  rows.push({ name: "reloads", value: `${whole.format(status.reloads)}${status.failed_reloads ? ` (${status.failed_reloads} failed)` : ""}` });
  rows.push({ name: "received", value: bytes(totals.bytes_in) });
  rows.push({ name: "sent", value: bytes(totals.bytes_out) });
  pairs($("errors"), rows);
}

const MOODS = { ready: "good", starting: "warn", retiring: "warn", hung: "bad" };

function showWorkers({ status }) {
  const now = status.uptime;
  const memory = status.workers.reduce((sum, each) => sum + (each.memory || 0), 0);
  const ready = status.workers.filter((each) => each.state === "ready").length;
  put("workers-note", `${ready} of ${status.wanted} ready, ${bytes(memory)}`);
  const acts = state.session.act;
  document.querySelector("th.act").hidden = !acts;
  sync($("workers"), status.workers, (each) => each.pid,
    (worker) => {
      const button = make("button", { type: "button", textContent: "Recycle" });
      button.setAttribute("aria-label", `Recycle worker ${worker.pid}`);
      button.addEventListener("click", () => recycle(worker.pid));
      const number = () => make("td", { className: "number" });
      return make("tr", {}, make("th", { scope: "row", textContent: worker.pid }),
        make("td", {}, make("span", { className: "badge" })),
        make("td", {}, make("span", { className: "meter" }, make("span")), make("span")),
        number(), number(), number(), number(), number(), number(), make("td", { className: "number" }, button));
    },
    (row, worker) => {
      const cells = row.children;
      put(cells[1].firstChild, worker.state, MOODS[worker.state] || "");
      cells[2].firstChild.firstChild.style.width = `${(100 * worker.busy) / (worker.threads || 1)}%`;
      put(cells[2].lastChild, `${worker.busy} / ${worker.threads}`);
      const before = state.before.get(worker.pid);
      const rate = before && now > before.now ? (worker.requests - before.requests) / (now - before.now) : null;
      put(cells[3], rate === null ? "–" : short(Math.max(0, rate)));
      put(cells[4], whole.format(worker.requests));
      put(cells[5], whole.format(worker.connections));
      put(cells[6], worker.memory ? bytes(worker.memory) : "–");
      put(cells[7], age(worker.age));
      put(cells[8], String(worker.generation));
      cells[9].hidden = !acts;
      cells[9].firstChild.disabled = worker.state !== "ready";
    });
  state.before = new Map(status.workers.map((each) => [each.pid, { requests: each.requests, now }]));
}

function showEvents(news) {
  const known = state.events.length ? state.events[0].number : 0;
  const fresh = news.filter((each) => each.number > known);
  if (!fresh.length && state.events.length) return;
  state.events = [...fresh.reverse(), ...state.events].slice(0, EVENTS_KEPT);
  if (!state.events.length) {
    $("log").replaceChildren(make("li", { className: "empty", textContent: "nothing yet" }));
    return;
  }
  sync($("log"), state.events, (each) => `${each.number} ${each.time}`,
    (each) => make("li", { data: { level: each.level } },
      make("time", { dateTime: new Date(each.time * 1000).toISOString(), textContent: clock(each.time) }),
      make("b", { textContent: each.level }), make("span", { textContent: each.text })),
    () => {});
}

function clock(time) {
  const date = new Date(time * 1000);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString("en-GB") : date.toLocaleString("en-GB");
}

// --- charts ------------------------------------------------------------------------------------

const traffic = new Traffic($("traffic"));
const latency = new Latency($("latency"));
let view = { columns: [], seconds: 300, step: 1 };

function draw() {
  view = columnsOf(state.samples, state.seconds, $("traffic").getBoundingClientRect().width);
  traffic.draw(view, state.cross, short);
  latency.draw(view, state.cross, duration, state.shape);
  for (const id of ["traffic", "latency"]) {
    const chart = $(id);
    chart.setAttribute("aria-valuemin", "0");
    chart.setAttribute("aria-valuemax", String(view.columns.length - 1));
    chart.setAttribute("aria-valuenow", String(state.cross ?? view.columns.length - 1));
    chart.setAttribute("aria-valuetext", describe(state.cross ?? view.columns.length - 1));
  }
  put("readout", state.cross === null
    ? "Point at a chart, or move with the arrow keys, to read it." : describe(state.cross));
}

function describe(at) {
  const column = view.columns[at];
  if (!column) return "";
  const when = clock(column.from + view.step).replace(/.*, /, "");
  if (!column.seconds) return `${when}: not known`;
  const parts = CLASSES.filter((name) => column.classes[name])
    .map((name) => `${short(column.classes[name] / column.seconds)}/s ${name}`);
  const quantiles = column.total
    ? [0.5, 0.9, 0.99].map((share) => `${share * 100} % in ${duration(quantileOf(column, share, state.shape))}`) : [];
  return `${when}: ${[...(parts.length ? parts : ["no requests"]), ...quantiles].join(", ")}`;
}

function listenToCharts() {
  for (const id of ["traffic", "latency"]) {
    const chart = $(id);
    const move = (event) => {
      state.cross = columnAt(chart, event.clientX - chart.getBoundingClientRect().left, view.columns.length);
      draw();
    };
    const leave = () => { if (document.activeElement !== chart) { state.cross = null; draw(); } };
    chart.addEventListener("pointermove", move);
    chart.addEventListener("pointerdown", move);
    chart.addEventListener("pointerleave", leave);
    chart.addEventListener("blur", () => { state.cross = null; draw(); });
    chart.addEventListener("keydown", (event) => {
      const last = view.columns.length - 1;
      const at = state.cross ?? last;
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 20, PageDown: at + 20, Home: 0, End: last }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      state.cross = Math.min(last, Math.max(0, next));
      draw();
    });
  }
  new ResizeObserver(() => draw()).observe($("traffic"));
  for (const radio of document.querySelectorAll('input[name="window"]')) {
    radio.addEventListener("change", () => { state.seconds = Number(radio.value); draw(); });
  }
  $("legend").replaceChildren(...CLASSES.filter((name) => name !== "1xx").map((name) => {
    const swatch = make("span", { className: "swatch" });
    swatch.style.setProperty("--swatch", `var(--class-${name})`);
    return make("li", {}, swatch, name === "none" ? "none" : name);
  }));
}

// --- asking --------------------------------------------------------------------------------------

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const response = await fetch(`api/${path}`, { ...options, credentials: "same-origin", cache: "no-store" });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return answer;
}

function show(tick) {
  showHead(tick);
  showTiles(tick);
  showAlarms(tick);
  showConnections(tick);
  showErrors(tick);
  showWorkers(tick);
  draw();
}

function onTick(tick) {
  if (tick.sample) {
    state.samples.push(tick.sample);
    const oldest = tick.sample.t - KEPT_SECONDS - 5;
    while (state.samples.length && state.samples[0].t < oldest) state.samples.shift();
  }
  state.tick = tick;
  showEvents(tick.events);
  const wasLost = hear();
  if (!state.paused) show(tick);
  else if (wasLost) { showHead(tick); showAlarms(tick); }
}

let heard = 0; // seconds since 1970
let lost = false;
let silenceTimer = 0;

/** Note that there are news, and return whether they were missed. */
function hear() {
  clearTimeout(silenceTimer);
  silenceTimer = setTimeout(lose, SILENCE_MILLISECONDS);
  heard = Date.now() / 1000;
  const wasLost = lost;
  lost = false;
  if (wasLost) put("live", "live", "on");
  return wasLost;
}

/** Say that what is shown is of the past. */
function lose() {
  if (!state.tick || lost) return;
  lost = true;
  clearTimeout(silenceTimer);
  put("state", "no answer", "bad");
  put("live", "reconnecting", "off");
  document.title = `${state.tick.status.application || "Breezeway"} · no answer`;
  putAlarms(new Map([["lost", ["bad", `Nothing is heard of the server since ${clock(heard)}; what is shown is of then`]]]));
}

function connect() {
  state.stream?.close();
  const stream = new EventSource("api/events");
  state.stream = stream;
  stream.addEventListener("hello", (event) => {
    const hello = JSON.parse(event.data);
    // What was seen before the stream broke off is still true.
    const first = hello.samples.length ? hello.samples[0].t : Infinity;
    const before = state.samples.filter((each) => each.t < first - 0.5);
    Object.assign(state, { shape: hello.shape, samples: [...before, ...hello.samples], connected: true });
    putSession(hello.session);
    if (!lost) put("live", "live", "on");
    loadEvents();
    pollRunning();
  });
  stream.addEventListener("tick", (event) => onTick(JSON.parse(event.data)));
  stream.addEventListener("error", async () => {
    put("live", "reconnecting", "off");
    lose();
    if (stream.readyState !== EventSource.CLOSED) return;
    stream.close(); // refused: not allowed, or too many look on
    state.connected = false;
    try {
      putSession(await ask("session"));
      if (state.session.read) put("live", "too many pages look on", "off");
    } catch { /* nobody is there at all */ }
    if (state.session.read) {
      setTimeout(connect, 3000);
      return;
    }
    put("live", "locked", "off");
    put("state", "not logged in", "warn");
    if (state.tick) putAlarms(new Map([["locked", ["warn", `The session has ended; what is shown is of ${clock(heard)}`]]]));
    if (!$("question").open) logIn();
  });
}

async function loadEvents() {
  try {
    const { events } = await ask("log");
    state.events = []; // another supervisor begins with the number 1 again
    showEvents(events);
  } catch { /* the stream says that there is nobody */ }
}

let runningTimer = 0;

async function pollRunning() {
  clearTimeout(runningTimer);
  if (state.connected && !lost && !state.paused && !document.hidden) {
    try {
      showRunning((await ask("running")).running);
    } catch (error) {
      put("running-note", error.message);
    }
  }
  runningTimer = setTimeout(pollRunning, RUNNING_MILLISECONDS);
}

function showRunning(running) {
  put("running-note", running.length ? `${running.length}, the longest first; open one for its stack` : "");
  if (!running.length) {
    $("running").replaceChildren(make("li", { className: "empty", textContent: "no request is in a thread" }));
    return;
  }
  for (const each of $("running").querySelectorAll(".empty")) each.remove();
  sync($("running"), running, (each) => `${each.pid} ${each.thread} ${each.request}`,
    () => make("li", {}, make("details", {},
      make("summary", {}, make("b"), make("code"), make("span", { className: "muted" })), make("pre", { tabIndex: 0 }))),
    (element, each) => {
      const [summary, stack] = element.firstChild.children;
      put(summary.children[0], duration(each.seconds), each.seconds >= SLOW.bad ? "bad" : each.seconds >= SLOW.warn ? "warn" : "");
      put(summary.children[1], each.request);
      put(summary.children[2], `worker ${each.pid}, ${each.thread}`);
      put(stack, each.stack.join("\n"));
    });
}

// --- settings --------------------------------------------------------------------------------------

let settings = null;

async function loadSettings() {
  try {
    settings = await ask("settings");
    showSettings();
  } catch (error) {
    $("settings").replaceChildren(make("tr", {}, make("td", { colSpan: 3, textContent: error.message })));
  }
}

function showSettings() {
  if (!settings) return;
  const wanted = $("settings-search").value.trim().toLowerCase();
  const given = $("settings-given").checked && !wanted;
  const rows = [];
  for (const group of settings.groups) {
    const found = group.settings.filter((each) => (!given || each.given)
      && (!wanted || `${each.name} ${each.doc} ${each.value}`.toLowerCase().includes(wanted)));
    if (!found.length) continue;
    rows.push(make("tr", { className: "group" }, make("th", { colSpan: 3, scope: "rowgroup", textContent: group.name })));
    for (const each of found) {
      rows.push(make("tr", { className: each.given ? "given" : "" },
        make("th", { scope: "row", textContent: each.name, title: each.doc }),
        make("td", { className: "code", textContent: each.value ?? "–" }), make("td", { textContent: each.origin })));
    }
  }
  for (const each of (settings.middleware || []).filter((one) => !wanted || one.use.toLowerCase().includes(wanted))) {
    rows.push(make("tr", { className: "given" }, make("th", { scope: "row", textContent: `middleware ${each.use}` }),
      make("td", { className: "code", textContent: each.options.join(", ") || "–" }), make("td", { textContent: each.origin })));
  }
  if (!rows.length) rows.push(make("tr", {}, make("td", { colSpan: 3, textContent: "none" })));
  $("settings").replaceChildren(...rows);
}

// --- acting ----------------------------------------------------------------------------------------

/** Ask the operator; carry out what `yes` says with what was typed, and stay open when that fails. */
function question({ title, text, yes, field, act, then }) {
  const dialog = $("question");
  put("question-title", title);
  put("question-text", text);
  put("question-yes", yes);
  put("question-error", "");
  $("question-field").hidden = !field;
  const input = $("question-input");
  if (field) {
    put("question-label", field.label);
    Object.assign(input, { type: field.type, value: field.value ?? "", min: field.min ?? "", max: field.max ?? "", autocomplete: field.autocomplete ?? "off" });
  }
  dialog.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    const button = $("question-yes"); // it stays enabled, for one that is not loses the focus
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    put(button, "Working …");
    put("question-error", "");
    try {
      await act(input.value);
      dialog.close();
      then?.();
    } catch (error) {
      $("question-error").classList.toggle("code", error.message.includes("\n"));
      put("question-error", error.message);
    } finally {
      button.removeAttribute("aria-disabled");
      put(button, yes);
    }
  };
  dialog.showModal();
  (field ? input : $("question-no")).focus();
}

function logIn() {
  question({
    title: "Log in", yes: "Log in",
    text: "With the token of the setting admin_token; the session lasts for twelve hours.",
    field: { label: "Token", type: "password", autocomplete: "current-password" },
    act: async (token) => { await ask("login", { token }); await begin(); },
    then: () => $("log-out").focus(), // what was pressed is hidden now
  });
}

function recycle(pid) {
  question({
    title: pid ? `Recycle worker ${pid}?` : "Recycle all workers?", yes: "Recycle",
    text: "A new one takes its place; no request is lost.",
    act: () => ask("recycle", pid ? { pid } : { all: true }),
  });
}

function putSession(session) {
  state.session = session;
  $("log-in").hidden = !session.token || session.act;
  $("log-out").hidden = !session.act;
  $("actions").hidden = !session.act;
  if (state.tick) showWorkers(state.tick);
}

function listenToButtons() {
  $("question-no").addEventListener("click", () => $("question").close());
  $("log-in").addEventListener("click", logIn);
  $("log-out").addEventListener("click", async () => { await ask("logout", {}); location.reload(); });
  $("reload").addEventListener("click", () => question({
    title: "Reload?", yes: "Reload",
    text: "Reads the settings and loads the application anew, a worker at a time. If that fails, what is there goes on.",
    act: () => ask("reload", {}),
  }));
  $("recycle").addEventListener("click", () => recycle(null));
  $("scale").addEventListener("click", () => question({
    title: "Scale", yes: "Scale", text: "Until the next start, or a reload that changes the setting.",
    field: { label: "Workers", type: "number", value: state.tick?.status.wanted, min: 1, max: 128 },
    act: (workers) => ask("scale", { workers: Number(workers) }),
  }));
  $("pause").addEventListener("click", () => {
    state.paused = !state.paused;
    $("pause").setAttribute("aria-pressed", String(state.paused));
    if (!state.paused && state.tick) show(state.tick);
  });
  $("settings-details").addEventListener("toggle", () => { if ($("settings-details").open) loadSettings(); });
  $("settings-search").addEventListener("input", showSettings);
  $("settings-given").addEventListener("change", showSettings);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) pollRunning(); });
}

const THEMES = ["auto", "light", "dark"];

function putTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  put("theme", `Theme: ${theme}`);
  draw();
}

function keptTheme(theme) {
  try {
    if (theme) localStorage.setItem("breezeway-theme", theme);
    return localStorage.getItem("breezeway-theme");
  } catch { // this browser keeps nothing
    return theme;
  }
}

function listenToTheme() {
  const kept = keptTheme();
  let theme = THEMES.includes(kept) ? kept : "auto";
  putTheme(theme);
  $("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    keptTheme(theme);
    putTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
}

async function begin() {
  try {
    putSession(await ask("session"));
  } catch { /* the stream tries again */ }
  if (!state.session.read) {
    put("live", "locked", "off");
    logIn();
    return;
  }
  connect();
  if ($("settings-details").open) loadSettings();
}

listenToCharts();
listenToButtons();
listenToTheme();
begin();
