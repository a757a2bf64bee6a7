"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const rows = data.rows;
  const size = data.labels.length;
  const at = (column, i) => ("v" in column ? column.v[i] : column.d[column.c[i]]);
  const number = (n) => n.toLocaleString("en");
  const percent = (a, b, digits) => (b ? (100 * a / b).toFixed(digits) + " %" : "–");
  const plural = (n, word) => `${number(n)} ${word}${n === 1 ? "" : "s"}`;
  const count = rows.id.length;
  const PAGE = 50;

  const element = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined && text !== null) made.textContent = text;
    return made;
  };
  const own = (tag, name, text) => {
    const made = element(tag, name, text);
    made.dir = "auto";
    return made;
  };

  // What the free-text filter looks at, folded once.
  const hay = [];
  for (let i = 0; i < count; i++) {
    const parts = [rows.id[i], at(rows.speaker, i) ?? "", at(rows.text, i) ?? ""];
    for (const field of data.fields) parts.push(at(field, i) ?? "");
    parts.push(at(rows.flags, i) ?? "");
    hay.push(parts.join("\n").toLocaleLowerCase());
  }
  const state = { split: "", speaker: "", words: [], mode: "count", cell: null };
  const grid = document.querySelector(".matrix");
  const cells = [...grid.querySelectorAll("td")];
  const byPlace = new Map(cells.map((td) => [`${td.dataset.r ?? size},${td.dataset.c ?? size}`, td]));

  const kept = (i) => {
    if (state.split !== "" && rows.split[i] !== +state.split) return false;
    if (state.speaker !== "" && at(rows.speaker, i) !== data.speakers[+state.speaker]) return false;
    return state.words.every((w) => hay[i].includes(w));
  };
  const narrowed = () => state.speaker !== "" || state.words.length > 0;

  const currentCounts = () => {
    if (!narrowed()) return state.split === "" ? data.counts.all : data.counts.splits[+state.split];
    const counts = Array.from({ length: size }, () => new Array(size).fill(0));
    for (let i = 0; i < count; i++) {
      if (rows.before[i] >= 0 && rows.after[i] >= 0 && kept(i)) counts[rows.before[i]][rows.after[i]]++;
    }
    return counts;
  };

  const drawMatrix = () => {
    const counts = currentCounts();
    const before = counts.map((row) => row.reduce((a, b) => a + b, 0));
    const after = data.labels.map((_, j) => counts.reduce((a, row) => a + row[j], 0));
    const total = before.reduce((a, b) => a + b, 0);
    const dark = getComputedStyle(document.documentElement).getPropertyValue("--on-heat").trim() !== "#ffffff";
    for (const td of cells) {
      const r = td.dataset.r === undefined ? null : +td.dataset.r;
      const c = td.dataset.c === undefined ? null : +td.dataset.c;
      const n = r === null ? (c === null ? total : after[c]) : c === null ? before[r] : counts[r][c];
      const whole = state.mode === "column" ? (c === null ? total : after[c]) : r === null ? total : before[r];
      td.textContent = state.mode === "count" ? number(n) : percent(n, whole, 1).replace(" %", "");
      const where = [
        r === null ? "any label before" : `before ${data.labels[r]}`,
        c === null ? "any label after" : `after ${data.labels[c]}`,
      ].join(", ");
      const parts = [plural(n, "row")];
      if (r !== null) parts.push(`${percent(n, before[r], 1)} of the row`);
      if (c !== null) parts.push(`${percent(n, after[c], 1)} of the column`);
      td.setAttribute("aria-label", `${where}: ${parts.join(", ")}`);
      td.title = parts.join("\n");
      if (r !== null && c !== null) {
        const share = whole ? n / whole : 0;
        td.style.setProperty("--v", share.toFixed(3));
        td.classList.toggle("hot", share > (dark ? 0.57 : 0.745));
      }
    }
    $("shade").textContent = state.mode === "column" ? "share of the column" : "share of the row";
    const moved = total - counts.reduce((a, row, i) => a + row[i], 0);
    $("filtered").textContent = narrowed()
      ? `Filtered: ${plural(total, "row")}, ${percent(moved, total, 2)} changed` +
        (data.complete ? "." : ` (of the ${number(count)} rows that this page carries).`)
      : "";
  };

  const marked = (tag, name, text) => {
    const made = own(tag, name);
    const words = state.words.filter((w) => w.length > 1);
    const folded = (text ?? "").toLocaleLowerCase();
    if (!words.length || folded.length !== text.length) {
      made.textContent = text;
      return made;
    }
    let place = 0;
    while (place < text.length) {
      let next = -1, long = 0;
      for (const w of words) {
        const found = folded.indexOf(w, place);
        if (found >= 0 && (next < 0 || found < next)) { next = found; long = w.length; }
      }
      if (next < 0) break;
      made.append(text.slice(place, next), element("mark", "", text.slice(next, next + long)));
      place = next + long;
    }
    made.append(text.slice(place));
    return made;
  };

  const LEVELS = ["low", "mid", "high"];
  const sound = data.sound;
  const readings = new Map((sound ? sound.dimensions : []).map((found) => [found.name, found]));
  const paired = new Set((sound ? sound.dimensions : []).map((found) => found.measured));
  const verdict = (reading, i) => {
    const said = reading.said[i], heard = reading.heard[i];
    const read = said < 0 ? "not read" : `read as ${LEVELS[said]}`;
    const measured = heard < 0 ? "not measured" : `measured ${LEVELS[heard]}`;
    const apart = said >= 0 && heard >= 0 && Math.abs(said - heard) === 2;
    return [" ", element("span", apart ? "opposite-ends" : "note", `(${read}; ${measured})`)];
  };

  const label = (code) => (code < 0 ? "no label" : data.labels[code]);
  const drawRow = (i) => {
    const item = element("li", "row");
    const head = element("div", "head");
    head.append(own("bdi", "who", at(rows.speaker, i) ?? "unknown speaker"));
    const change = element("span", "change");
    change.append(own("bdi", "", label(rows.before[i])), " → ", own("bdi", "", label(rows.after[i])));
    head.append(change, own("bdi", "", rows.id[i]));
    if (rows.seconds[i] !== null) head.append(element("span", "", `${rows.seconds[i].toFixed(2)} s`));
    item.append(head, marked("p", "words", at(rows.text, i) ?? ""));
    const list = element("dl");
    for (const field of data.fields) {
      const value = at(field, i);
      if (value === null) continue;
      const words = marked("dd", "", value);
      const reading = readings.get(field.name);
      if (reading) words.append(...verdict(reading, i));
      list.append(own("dt", "", field.name.replaceAll("_", " ")), words);
    }
    if (sound) {
      const say = (name, text) => { if (text) list.append(element("dt", "", name), own("dd", "", text)); };
      const plain = (name) => name.replaceAll("_", " ");
      say("measured", sound.levels.filter((level) => at(level, i) !== null && !paired.has(level.name))
        .map((level) => `${plain(level.name)} ${at(level, i)}`).join(" · "));
      say("measures", sound.measures.filter((measure) => measure.v[i] !== null)
        .map((measure) => `${plain(measure.name)} ${measure.v[i]}`).join(" · "));
      say("voice flags", at(sound.flags, i));
    }
    const flags = at(rows.flags, i);
    if (flags) list.append(element("dt", "", "flags"), own("dd", "", flags));
    if (list.children.length) item.append(list);
    if (data.audio[i]) {
      const player = element("audio");
      player.controls = true;
      player.preload = "none";
      player.src = data.audio[i];
      player.setAttribute("aria-label", `Audio of ${rows.id[i]}`);
      item.append(player);
    } else if (data.links[i]) {
      const link = element("a", "", "Audio file");
      link.href = data.links[i];
      item.append(link);
    }
    return item;
  };

  const lister = (list, more, draw) => {
    let wanted = [], shown = 0;
    const go = (focus) => {
      const first = shown;
      list.append(...wanted.slice(shown, shown + PAGE).map(draw));
      shown = Math.min(shown + PAGE, wanted.length);
      more.hidden = shown >= wanted.length;
      more.textContent = `Show ${number(Math.min(PAGE, wanted.length - shown))} more of ${number(wanted.length)}`;
      if (focus && list.children[first]) {
        list.children[first].tabIndex = -1;
        list.children[first].focus();
      }
    };
    more.addEventListener("click", () => go(true));
    return (found) => { wanted = found; shown = 0; list.replaceChildren(); go(false); };
  };
  const showRows = lister($("list"), $("more"), drawRow);

  const drawList = () => {
    for (const td of cells) td.setAttribute("aria-selected", "false");
    const cell = state.cell;
    if (cell === null) {
      $("list-title").textContent = "Utterances";
      $("list-note").textContent = "Choose a cell of the matrix to list its utterances.";
      showRows([]);
      return;
    }
    const found = [];
    for (let i = 0; i < count; i++) {
      const b = rows.before[i], a = rows.after[i];
      const fits = cell.unlabelled
        ? b < 0 || a < 0
        : b >= 0 && a >= 0 && (cell.r === null || b === cell.r) && (cell.c === null || a === cell.c);
      if (fits && kept(i)) found.push(i);
    }
    const td = cell.unlabelled ? null : byPlace.get(`${cell.r ?? size},${cell.c ?? size}`);
    if (td) td.setAttribute("aria-selected", "true");
    const title = $("list-title");
    title.replaceChildren();
    if (cell.unlabelled) title.textContent = "Rows without one of the labels";
    else {
      title.append(own("bdi", "", cell.r === null ? "any label" : data.labels[cell.r]), " → ",
        own("bdi", "", cell.c === null ? "any label" : data.labels[cell.c]));
    }
    $("list-note").textContent = plural(found.length, "utterance") + (narrowed() ? " match the filters" : "") +
      (data.complete ? "." : "; this page does not carry all rows.");
    showRows(found);
  };

  const redraw = () => { drawMatrix(); drawList(); };
  const pick = (td) => {
    const code = (v) => (v === undefined ? null : +v);
    state.cell = { r: code(td.dataset.r), c: code(td.dataset.c) };
    drawList();
  };
  const focusCell = (td) => {
    for (const other of cells) other.tabIndex = -1;
    td.tabIndex = 0;
    td.focus();
  };
  const wide = () => matchMedia("(min-width: 1180px)").matches;

  grid.addEventListener("click", (event) => {
    const td = event.target.closest("td");
    if (!td) return;
    focusCell(td);
    pick(td);
    if (!wide()) $("list-title").scrollIntoView({ block: "start" });
  });
  grid.addEventListener("keydown", (event) => {
    const td = event.target.closest("td");
    if (!td || event.altKey || event.metaKey) return;
    let r = td.dataset.r === undefined ? size : +td.dataset.r;
    let c = td.dataset.c === undefined ? size : +td.dataset.c;
    switch (event.key) {
      case "ArrowUp": r--; break;
      case "ArrowDown": r++; break;
      case "ArrowLeft": c--; break;
      case "ArrowRight": c++; break;
      case "Home": c = 0; if (event.ctrlKey) r = 0; break;
      case "End": c = size; if (event.ctrlKey) r = size; break;
      case "Enter": case " ": event.preventDefault(); pick(td); $("list-title").focus(); return;
      default: return;
    }
    event.preventDefault();
    const next = byPlace.get(`${r},${c}`);
    if (next) focusCell(next);
  });
  document.querySelector(".right").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const back = cells.find((td) => td.getAttribute("aria-selected") === "true") ?? cells[0];
    focusCell(back);
  });

  $("split").addEventListener("change", (event) => {
    state.split = event.target.value;
    for (const part of document.querySelectorAll("[data-scope]")) part.hidden = part.dataset.scope !== state.split;
    redraw();
  });
  $("speaker").addEventListener("change", (event) => { state.speaker = event.target.value; redraw(); });
  let timer = 0;
  $("query").addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.words = event.target.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      redraw();
    }, 150);
  });
  for (const radio of document.querySelectorAll("[name=mode]")) {
    radio.addEventListener("change", () => { state.mode = radio.value; drawMatrix(); });
  }
  $("reset").addEventListener("click", () => {
    $("query").value = "";
    $("speaker").value = "";
    document.querySelector("[name=mode]").checked = true;
    Object.assign(state, { speaker: "", words: [], mode: "count", cell: null });
    $("split").value = "";
    $("split").dispatchEvent(new Event("change"));
  });
  if ($("unlabelled")) {
    $("unlabelled").hidden = false;
    $("unlabelled").addEventListener("click", () => {
      state.cell = { unlabelled: true };
      drawList();
      $("list-title").focus();
    });
  }

  const dropped = data.dropped;
  if (dropped && $("dropped")) {
    const drawDropped = (i) => {
      const item = element("li", "row");
      const head = element("div", "head");
      head.append(own("bdi", "who", at(dropped.speaker, i) ?? "unknown speaker"), own("bdi", "", dropped.id[i]));
      const old = at(dropped.label, i);
      if (old) head.append(own("bdi", "", `original label: ${old}`));
      item.append(head, own("p", "words", at(dropped.text, i) ?? ""));
      item.append(own("p", "note", at(dropped.details, i) || at(dropped.reasons, i)));
      for (const [attempt, status, raw, problems] of dropped.replies[i] ?? []) {
        item.append(element("div", "note", `Reply ${attempt + 1}: ${status}`), own("pre", "", raw || "(empty)"));
        for (const problem of problems) item.append(own("div", "note problem", problem));
      }
      return item;
    };
    const show = lister($("dropped"), $("dropped-more"), drawDropped);
    for (const button of document.querySelectorAll("button.reason")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        const { split, stage, reason } = button.dataset;
        const found = dropped.id.map((_, i) => i).filter((i) => at(dropped.split, i) === split &&
          at(dropped.stage, i) === stage && at(dropped.reasons, i).split(", ").includes(reason));
        $("dropped-title").textContent = `${split}, ${reason}: ${plural(found.length, "row")}`;
        show(found);
        $("dropped-title").focus();
      });
    }
  }

  if (sound && $("heard")) {
    const show = lister($("heard"), $("heard-more"), drawRow);
    const buttons = [...document.querySelectorAll("#words .cell, #words .opposite")];
    const list = (button, title, fits) => {
      const reading = sound.dimensions[+button.dataset.d];
      const found = rows.id.map((_, i) => i).filter((i) => fits(reading.said[i], reading.heard[i]));
      for (const other of buttons) other.setAttribute("aria-pressed", other === button);
      $("heard-title").textContent = `${reading.name.replaceAll("_", " ")}: ${title}`;
      $("heard-note").textContent = plural(found.length, "utterance") +
        (data.complete ? "." : "; this page does not carry all rows.");
      // Those that can be heard here come first.
      show([...found.filter((i) => data.audio[i]), ...found.filter((i) => !data.audio[i])]);
      $("heard-title").focus();
    };
    for (const button of buttons) {
      const { said, heard } = button.dataset;
      button.hidden = false;
      button.addEventListener("click", () => said === undefined
        ? list(button, "words and sound at opposite ends", (a, b) => a >= 0 && b >= 0 && Math.abs(a - b) === 2)
        : list(button, `described ${LEVELS[said]}, measured ${LEVELS[heard]}`, (a, b) => a === +said && b === +heard));
    }
  }

  const THEMES = ["auto", "light", "dark"];
  const store = (value) => {
    try {
      return value === undefined ? localStorage.getItem("remelt-theme") : localStorage.setItem("remelt-theme", value);
    } catch { return null; } // a browser may forbid storage to pages opened from disk
  };
  const setTheme = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    $("theme").textContent = `Theme: ${theme}`;
    $("theme").value = theme;
    drawMatrix();
  };
  $("theme").hidden = false;
  $("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf($("theme").value) + 1) % THEMES.length];
    store(next);
    setTheme(next);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMatrix);
  document.querySelector(".controls").hidden = false;
  const stored = store();
  setTheme(THEMES.includes(stored) ? stored : "auto");
  redraw();
})();
