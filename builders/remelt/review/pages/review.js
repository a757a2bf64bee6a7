"use strict";
const { mode, rater, review } = document.body.dataset;
const labels = JSON.parse(document.body.dataset.labels);
const $ = (id) => document.getElementById(id);
const MOST_WAIT = 3000;
const NOTE_WAIT = 800;

let item = null;       // what is shown
let undoable = null;   // token of the item that was judged last
let since = 0;         // when it appeared
let busy = false;      // a choice is on its way; further keys are ignored
let saved = "";        // mode "label": what is saved of this item

// What is not saved yet outlives the page: it is sent again when the page is opened again. Another review at
// this address (another dataset, another question) would take it for an item that it does not know.
const pendingKey = `remelt review ${review} ${mode} ${rater}`;
const pending = {
  read() { try { return JSON.parse(localStorage.getItem(pendingKey)); } catch { return null; } },
  write(what) {
    try {
      if (what) localStorage.setItem(pendingKey, JSON.stringify(what));
      else localStorage.removeItem(pendingKey);
    } catch { /* a browser without storage: the page itself still tries again */ }
  },
};

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
  if (text) say("");
}
function say(text) { $("said").textContent = text; }

// Asks until there is an answer. Null: the server has answered that this cannot be.
async function ask(path, body) {
  if (body) body.review = review;
  if (body) pending.write({ path, body });
  for (let pause = 250; ; pause = Math.min(2 * pause, MOST_WAIT)) {
    try {
      const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const answer = await fetch(path, body ? options : {});
      if (answer.status === 403) {
        trouble("The server does not let you in. Open the whole address again, with its key.");
        return null;
      }
      if (answer.status === 421) {
        trouble(`${body ? "Not saved yet: another" : "Another"} review is at this address now. Trying again …`);
        await wait(pause);
        continue;
      }
      if (answer.status >= 500) throw new Error(String(answer.status));
      const said = await answer.json();
      if (body) pending.write(null);
      trouble(answer.ok || answer.status === 409 ? "" : said.error);
      return answer.ok ? said : null;
    } catch {
      trouble(body ? "Not saved yet: the server does not answer. Trying again …" : "The server does not answer. Trying again …");
      await wait(pause);
    }
  }
}

function make(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

function standing(said) {
  const { done, open } = said.progress;
  undoable = said.undo;
  $("undo").disabled = !undoable;
  $("bar").max = Math.max(done + open, 1);
  $("bar").value = done;
  $("progress").textContent = `${done} of ${done + open}`;
}

function show(said) {
  standing(said);
  item = said.item;
  $("work").hidden = !item;
  $("end").hidden = Boolean(item);
  if (!item) {
    $("clip").replaceChildren();
    $("done").focus();
    return;
  }
  $("before").hidden = !item.context.length;
  $("context").replaceChildren(...item.context.map((turn) => {
    const row = make("li");
    if (turn.speaker) {
      const who = make("b");
      who.append(make("bdi", turn.speaker), ": ");
      row.append(who);
    }
    row.append(make("bdi", turn.text));
    return row;
  }));
  $("speaker").textContent = item.speaker;
  $("text").textContent = item.text;
  $("heading").textContent = `Item ${said.progress.done + 1}`;
  showClip(item.clip);
  if (mode === "preference") {
    for (const side of ["left", "right"]) $(side).textContent = item[side];
  } else {
    fill(item.earlier);
  }
  scrollTo(0, 0);
  $("heading").focus({ preventScroll: true });
  since = performance.now();
}

function showClip(clip) {
  const old = $("clip").firstElementChild;
  if (old && old.pause) old.pause();
  $("clip").replaceChildren();
  if (!clip) return;
  const player = make(clip.kind === "video" ? "video" : "audio");
  player.controls = true;
  player.playsInline = true;
  player.preload = "auto";
  player.setAttribute("aria-label", "Clip");
  player.addEventListener("error", () => $("clip").replaceChildren(make("p", "This clip cannot be played.")));
  player.src = clip.url;
  $("clip").append(player);
  // The first one waits for the rater; browsers let a page play only after a click or a key.
  player.play().catch(() => {});
}

function playPause() {
  const player = $("clip").querySelector("audio, video");
  if (!player) return;
  if (player.paused) player.play().catch(() => {});
  else player.pause();
}

async function next() {
  const said = await ask(`/api/next?rater=${encodeURIComponent(rater)}&review=${review}`);
  if (said) show(said);
}

// Does one thing at a time; what is pressed meanwhile is not taken for an answer to the next item.
async function alone(work) {
  if (busy) return;
  busy = true;
  $("work").inert = true;
  try { await saving; await work(); } finally { busy = false; $("work").inert = false; }
}

let saving = Promise.resolve(true);
const seconds = () => Math.round(performance.now() - since) / 1000;

function choose(choice) {
  if (!item) return;
  alone(async () => {
    const body = { rater, item: item.token, choice, seconds: seconds() };
    if (mode === "preference") Object.assign(body, { left: item.left, right: item.right });
    else body.note = $("note").value;
    const said = await ask("/api/judge", body);
    if (said) { show(said); say("Saved."); } else if ($("trouble").hidden) await next();
  });
}

function undo() {
  if (!undoable) return;
  alone(async () => {
    const said = await ask("/api/undo", { rater, item: undoable });
    if (said) { show(said); say("Taken back."); } else if ($("trouble").hidden) await next();
  });
}

// Mode "label": every change is saved; the next item comes when the rater asks for it.
const picked = (name) => $("form").querySelector(`input[name=${name}]:checked`)?.value;

function answer() {
  const label = picked("label");
  if (label === undefined) return null;
  const sure = picked("confidence");
  return { choice: "label", label, confidence: sure ? Number(sure) : null, note: $("note").value.trim() };
}

function save() {
  const shown = item;
  saving = saving.then(async () => {
    const now = item === shown && item ? answer() : null;
    if (!now || JSON.stringify(now) === saved) return true;
    const said = await ask("/api/judge", { rater, item: item.token, seconds: seconds(), stay: true, ...now });
    if (!said) return false;
    saved = JSON.stringify(now);
    standing(said);
    say("Saved.");
    return true;
  });
  return saving;
}

function onward() {
  if (!item) return;
  if (!answer()) { trouble("Choose a label first, or skip."); return; }
  alone(async () => {
    const stored = await save();
    if (stored || $("trouble").hidden) await next();
  });
}

function fill(earlier) {
  saved = "";
  $("form").reset();
  if (!earlier) return;
  for (const name of ["label", "confidence"]) {
    for (const input of $("form").querySelectorAll(`input[name=${name}]`)) {
      input.checked = input.value === String(earlier[name]);
    }
  }
  $("note").value = earlier.note;
}

function surer(step) {
  if (!item || busy) return;
  const now = picked("confidence");
  const to = now ? Math.min(5, Math.max(1, Number(now) + step)) : 3;
  $("form").querySelector(`input[name=confidence][value="${to}"]`).checked = true;
  save();
}

function buildForm() {
  labels.forEach((label, place) => {
    const row = make("label");
    const input = make("input");
    Object.assign(input, { type: "radio", name: "label", value: label });
    row.append(input, make("span", label));
    if (place < 10) {
      const key = make("kbd", String((place + 1) % 10));
      key.setAttribute("aria-hidden", "true");
      row.append(key);
    }
    $("labels").append(row);
  });
  let timer = 0;
  $("form").addEventListener("change", () => { trouble(""); save(); });
  $("note").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(save, NOTE_WAIT); });
  $("form").addEventListener("submit", (event) => { event.preventDefault(); onward(); });
}

const KEYS = {
  preference: {
    ArrowLeft: () => choose("left"), ArrowRight: () => choose("right"), s: () => choose("same"),
    k: () => choose("skip"), " ": () => choose("skip"), p: playPause, u: undo,
  },
  label: {
    "+": () => surer(1), "=": () => surer(1), "-": () => surer(-1), "−": () => surer(-1),
    n: () => $("note").focus(), Enter: onward, k: () => choose("skip"), p: playPause, u: undo,
  },
}[mode];

addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const within = event.target;
  if (within.matches?.("textarea")) {
    if (event.key === "Escape") $("heading").focus({ preventScroll: true });
    return;
  }
  // A control that is in focus keeps the keys by which it is worked.
  if ([" ", "Enter"].includes(event.key) && within.matches?.("button, summary, a, audio, video")) return;
  if (event.key.startsWith("Arrow") && within.matches?.("audio, video, input")) return;
  let act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (mode === "label" && /^[0-9]$/.test(event.key)) {
    const input = $("form").querySelectorAll("input[name=label]")[(Number(event.key) + 9) % 10];
    if (input && item && !busy) act = () => { input.checked = true; trouble(""); save(); };
  }
  if (!act) return;
  event.preventDefault();
  act();
});

for (const button of document.querySelectorAll("button[data-choice]")) {
  button.addEventListener("click", () => choose(button.dataset.choice));
}
$("undo").addEventListener("click", undo);
if (mode === "label") buildForm();
alone(async () => {
  const left = pending.read();
  if (left) await ask(left.path, left.body);
  await next();
});
