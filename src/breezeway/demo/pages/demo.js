// Each form with data-try works without this script too: the browser then shows the bare answer.
// With it, the answer is taken in here, piece by piece, and shown as it comes.
"use strict";

const seconds = (since) => ((performance.now() - since) / 1000).toFixed(2) + " s";
const nextFrame = () => new Promise(requestAnimationFrame);

/** Ask what the form asks; the answer must be a success. */
async function ask(url, signal) {
  const response = await fetch(url, { cache: "no-store", signal });
  if (!response.ok) throw new Error(`the answer was ${response.status} ${response.statusText}`);
  return response;
}

/** The pieces of a body, each as it arrives. */
async function* pieces(response) {
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** The place where the result goes, emptied and shown. */
function clearResult() {
  const result = document.querySelector(".result");
  const part = (selector) => result.querySelector(selector);
  for (const old of result.querySelectorAll(".log, .bars, .got")) old.replaceChildren();
  result.hidden = false;
  const say = (sentence, bad = false) => {
    part(".outcome").textContent = sentence;
    part(".outcome").classList.toggle("bad", bad);
  };
  const progress = (share) => { if (part("progress")) part("progress").value = share; };
  say("");
  progress(0);
  result.scrollIntoView({ block: "nearest" });
  return { part, say, progress };
}

function urlOf(form) {
  const query = new URLSearchParams(new FormData(form)).toString();
  return form.action + (query && "?" + query);
}

const tries = {
  async stream(form) {
    const { part, say, progress } = clearResult();
    const started = performance.now();
    const decoder = new TextDecoder();
    const total = Number(new FormData(form).get("blocks"));
    const leaving = new AbortController();
    const stop = form.querySelector("[data-stop]");
    stop.disabled = false;
    stop.onclick = () => leaving.abort();
    let count = 0;
    let rest = "";
    try {
      for await (const bytes of pieces(await ask(urlOf(form), leaving.signal))) {
        const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) addLine(part(".log"), seconds(started), line);
        count += lines.length;
        progress(count / total);
      }
      say(`${count} blocks in ${seconds(started)}.`);
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
      say(`Left after ${count} blocks.`);
    } finally {
      stop.disabled = true;
    }
  },

  async download(form) {
    const { say, progress } = clearResult();
    const started = performance.now();
    let size = 0;
    const response = await ask(urlOf(form));
    const total = Number(response.headers.get("Content-Length"));
    for await (const bytes of pieces(response)) {
      size += bytes.length;
      progress(size / total);
    }
    const rate = size / 1e6 / ((performance.now() - started) / 1000);
    say(`${(size / 2 ** 20).toFixed(0)} MiB in ${seconds(started)}: ${rate.toFixed(0)} MB/s.`);
  },

  async error(form) {
    const { part, say } = clearResult();
    const decoder = new TextDecoder();
    let status = "No response at all";
    try {
      const response = await fetch(urlOf(form), { cache: "no-store" });
      status = `${response.status} ${response.statusText}`;
      for await (const bytes of pieces(response)) {
        part(".got").append(decoder.decode(bytes, { stream: true }));
      }
      say(`${status}, a whole response.`, !response.ok);
    } catch (error) {
      say(`${status}, then: ${error.message}. The browser knows that something is missing.`, true);
    }
  },

  async slow(form) {
    const { part, say, progress } = clearResult();
    const asked = Number(new FormData(form).get("seconds"));
    const started = performance.now();
    const times = [];
    let sleeping = true;
    const slow = ask(urlOf(form)).finally(() => { sleeping = false; });
    while (sleeping) {
      const asking = performance.now();
      await Promise.race([ask(form.dataset.ping), slow]);
      if (!sleeping) break;
      times.push(performance.now() - asking);
      draw(part(".bars"), times);
      progress(Math.min(1, (performance.now() - started) / 1000 / asked));
      await nextFrame();
    }
    await slow;
    progress(1);
    const median = times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
    say(times.length
      ? `While the slow answer took ${seconds(started)}, ${times.length} others came, half of them within ${median.toFixed(1)} ms.`
      : `The slow answer took ${seconds(started)}, and nothing else came meanwhile.`, !times.length);
  },
};

function addLine(log, time, line) {
  const item = document.createElement("li");
  const arrived = document.createElement("b");
  arrived.textContent = time;
  item.append(arrived, line);
  log.append(item);
  log.scrollTop = log.scrollHeight;
}

// Milliseconds that fill the whole height, and the bars there is room for.
const FULL_HEIGHT = 20;
const MOST_BARS = 120;

function draw(bars, times) {
  const bar = document.createElement("i");
  bar.style.height = `${Math.max(2, Math.min(100, times.at(-1) * 100 / FULL_HEIGHT))}%`;
  bars.append(bar);
  if (bars.children.length > MOST_BARS) bars.firstChild.remove();
}

for (const form of document.querySelectorAll("form[data-try]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = document.querySelectorAll("form[data-try] button:not([data-stop])");
    for (const button of buttons) button.disabled = true;
    try {
      await tries[form.dataset.try](form);
    } catch (error) {
      clearResult().say(`That went wrong: ${error.message}.`, true);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  });
}
