// What a page can't do alone: it takes scans, posts forms in the background, keeps figures live, and keeps counts while
// there is no network. Every page works without it, except for counting without network and the camera.
// @ts-check

/**
 * Returns the element of a kind that a selector finds.
 * @template {Element} T
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new (...args: any[]) => T} kind
 * @returns {T | null}
 */
function find(root, selector, kind) {
  const found = root.querySelector(selector);
  return found instanceof kind ? found : null;
}

/**
 * Asks the server for a part of a page.
 * @param {string} address
 * @param {RequestInit} [how]
 * @returns {Promise<{ok: boolean, status: number, part: DocumentFragment}>}
 */
async function ask(address, how = {}) {
  const headers = { ...how.headers, "console-part": "1" };
  const answer = await fetch(address, { ...how, headers, credentials: "same-origin", redirect: "error" });
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  return { ok: answer.ok, status: answer.status, part: template.content };
}

/**
 * Returns a function that asks as `ask` does, and gives up what it asked before: a search that nobody waits for ends.
 */
function asker() {
  let before = new AbortController();
  return (/** @type {string} */ address) => {
    before.abort();
    before = new AbortController();
    return ask(address, { signal: before.signal }).catch(() => ({ ok: false, part: null }));
  };
}

/**
 * Returns the fields of a form, as if this button had been pressed.
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} [by]
 */
function fields(form, by) {
  const data = new FormData(form);
  if (by instanceof HTMLButtonElement && by.name) data.append(by.name, by.value);
  return data;
}

/**
 * Returns the fields of a form without files as a text.
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} [by]
 */
function body(form, by) {
  const data = new URLSearchParams();
  for (const [name, value] of fields(form, by)) data.append(name, String(value));
  return data;
}

/**
 * Returns the words of an element.
 * @param {Element | null} element
 */
function words(element) {
  return (element?.textContent ?? "").trim().replace(/\s+/g, " ");
}

/** @type {AudioContext | undefined} */
let audio;

/**
 * Sounds: high when it was found or done, twice low when it is unknown or refused.
 * @param {"good" | "bad"} what
 */
function sound(what) {
  navigator.vibrate?.(what === "good" ? 40 : [120, 60, 120]);
  try {
    audio ??= new AudioContext();
    const tones = what === "good" ? [[1320, 0]] : [[220, 0], [180, 0.16]];
    for (const [pitch, after] of tones) {
      const [tone, volume] = [audio.createOscillator(), audio.createGain()];
      const from = audio.currentTime + after;
      tone.frequency.value = pitch;
      volume.gain.setValueAtTime(0.12, from);
      volume.gain.exponentialRampToValueAtTime(0.001, from + 0.12);
      tone.connect(volume).connect(audio.destination);
      tone.start(from);
      tone.stop(from + 0.13);
    }
  } catch {
    // A browser without sound shows colours.
  }
}

/**
 * Adds to a typed quantity; the decimal sign stays as the person types it.
 * @param {string} typed
 * @param {string} step
 */
export function added(typed, step) {
  const comma = typed.includes(",");
  const thousandths = (/** @type {string} */ text) => Math.round(Number(text.replace(",", ".").replace("−", "-")) * 1000);
  const total = thousandths(typed) + thousandths(step);
  if (!Number.isSafeInteger(total)) return typed;
  const text = String(total / 1000);
  return comma ? text.replace(".", ",") : text;
}

/** The gap between two keys of a scanner, in milliseconds; people are slower. */
const SCANNER_GAP_MS = 60;
/** The shortest code that a scanner types. */
const SCANNER_CHARS = 5;

/**
 * The station: scans go to the field wherever the focus is, and are looked up one after the other.
 * @param {HTMLElement} station
 */
function runStation(station) {
  const field = /** @type {HTMLInputElement} */ (find(station, "#code", HTMLInputElement));
  const found = /** @type {HTMLElement} */ (find(station, "#found", HTMLElement));
  const heard = /** @type {HTMLElement} */ (find(station, "#heard", HTMLElement));
  const slip = () => /** @type {HTMLFormElement} */ (find(station, "#slip", HTMLFormElement));
  const lines = () => /** @type {HTMLElement} */ (find(station, "#lines", HTMLElement));
  /** Work is done one after the other, so that no scan overtakes another. */
  let work = Promise.resolve();
  let isSending = false;
  const then = (/** @type {() => Promise<void>} */ step) => {
    work = work.then(step).catch(() => {
      const notice = document.createElement("p");
      notice.className = "notice bad";
      notice.textContent = station.dataset.notSent ?? "";
      found.replaceChildren(notice);
      hear(told(found));
      sound("bad");
    });
  };
  /** Says it to who can't see it. The region stays in the page, and the text is new each time: only then is it read aloud. */
  const hear = (/** @type {string[]} */ texts) => {
    const text = document.createElement("span");
    text.textContent = texts.map((one) => (/[.?!]$/.test(one) ? one : `${one}.`)).join(" ");
    heard.replaceChildren(text);
  };
  /** Returns what a part of the page tells. What is wrong with a line has its name. (An alert is read aloud by itself.) */
  const told = (/** @type {ParentNode} */ part) =>
    [...part.querySelectorAll(".notice:not([role=alert]), .choices p, .choice span")].map((one) => {
      const name = one.closest("li.line")?.querySelector("h2");
      return `${name ? `${words(name)}: ` : ""}${words(one)}`;
    });
  const arm = () => field.focus({ preventScroll: true });

  const show = () => {
    const isEmpty = !lines().childElementCount;
    const nothing = find(station, "#nothing", HTMLElement);
    if (nothing) nothing.hidden = !isEmpty || !!find(station, ".done", HTMLElement);
    for (const act of station.querySelectorAll(".acts button")) {
      if (act instanceof HTMLButtonElement) act.disabled = isEmpty;
    }
  };

  /** @param {Element} line */
  const put = (line) => {
    const item = line instanceof HTMLElement ? line.dataset.item : "";
    const same = [...lines().children].find((other) => other instanceof HTMLElement && other.dataset.item === item);
    if (same instanceof HTMLElement) {
      const quantity = find(same, "[name=quantity]", HTMLInputElement);
      const step = line instanceof HTMLElement ? line.dataset.step ?? "1" : "1";
      if (quantity) quantity.value = added(quantity.value, step);
    }
    const shown = same ?? line;
    const quantity = find(shown, "[name=quantity]", HTMLInputElement);
    hear([`${quantity?.value} × ${words(shown.querySelector("h2"))}`, words(shown.querySelector(".here"))]);
    if (lines().firstElementChild !== shown) lines().prepend(shown);
    shown.classList.remove("flash-good");
    requestAnimationFrame(() => shown.classList.add("flash-good"));
    find(station, ".done", HTMLElement)?.remove();
    show();
  };

  /** @param {string} name @param {string} text */
  const look = (name, text) => {
    suggested += 1;
    clearTimeout(typing);
    then(async () => {
      const { ok, part } = await ask(`${station.dataset.lookup}?${name}=${encodeURIComponent(text)}`);
      const line = part.querySelector("li.line");
      if (line) {
        line.remove();
        put(line);
      }
      found.replaceChildren(part);
      if (!line) hear(told(found));
      sound(ok && (line || found.querySelector(".choice")) ? "good" : "bad");
    });
  };
  const scan = (/** @type {string} */ code) => look("code", code);

  const latest = asker();
  let typing = 0;
  let suggested = 0;
  field.addEventListener("input", () => {
    clearTimeout(typing);
    const text = field.value.trim();
    const turn = (suggested += 1);
    if (text.length < 2) return void (text || found.replaceChildren());
    typing = window.setTimeout(async () => {
      const { ok, part } = await latest(`${station.dataset.suggest}?code=${encodeURIComponent(text)}`);
      if (!ok || !part || turn !== suggested) return;
      found.replaceChildren(part);
      hear(told(found));
    }, 180);
  });

  let burst = "";
  let before = "";
  let lastKey = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const at = event.target;
    const isText = at instanceof HTMLInputElement || at instanceof HTMLTextAreaElement || at instanceof HTMLSelectElement;
    if (event.key === "Enter") {
      const isBurst = burst.length >= SCANNER_CHARS && event.timeStamp - lastKey < SCANNER_GAP_MS * 4;
      if (at === field) {
        event.preventDefault();
        const code = field.value.trim();
        field.value = "";
        if (code) scan(code);
      } else if (at instanceof HTMLInputElement && at.name === "quantity") {
        event.preventDefault();
        // A barcode that was scanned into the quantity is a scan.
        if (isBurst) {
          at.value = before;
          scan(burst);
        }
        arm();
      }
      burst = "";
    } else if (event.key.length === 1) {
      if (event.timeStamp - lastKey > SCANNER_GAP_MS || !burst) {
        burst = "";
        before = at instanceof HTMLInputElement ? at.value : "";
      }
      burst += event.key;
      // The space bar presses a button that has the focus.
      if (!isText && event.key !== " ") arm();
    }
    lastKey = event.timeStamp;
  });

  station.addEventListener("click", (event) => {
    const step = event.target instanceof Element ? event.target.closest("[data-step-by]") : null;
    const line = step?.closest("li.line");
    const quantity = line && find(line, "[name=quantity]", HTMLInputElement);
    if (!(step instanceof HTMLElement) || !quantity) return;
    const next = added(quantity.value, step.dataset.stepBy ?? "1");
    if (!next.startsWith("-")) quantity.value = next;
  });

  station.addEventListener("submit", (event) => {
    const by = event.submitter;
    event.preventDefault();
    if (!(by instanceof HTMLButtonElement)) return;
    if (by.name === "without") {
      by.closest("li.line")?.remove();
      show();
      arm();
    } else if (by.name === "code") {
      field.value = "";
      scan(by.value);
      arm();
    } else if (by.name === "further") {
      look("further", by.value);
      arm();
    } else if (by.value === "add") {
      const code = field.value.trim();
      field.value = "";
      if (code) scan(code);
      arm();
    } else if (!isSending) {
      isSending = true;
      arm();
      then(async () => {
        try {
          const form = slip();
          form.classList.add("is-busy");
          const answer = await ask(form.action, { method: "POST", body: body(form, by) }).finally(() => form.classList.remove("is-busy"));
          const next = answer.part.querySelector("#slip");
          if (next) {
            form.replaceWith(next);
            found.replaceChildren();
          } else {
            found.replaceChildren(answer.part);
          }
          hear(told(station));
          sound(station.querySelector(".notice.bad") ? "bad" : "good");
          show();
          if (!(document.activeElement instanceof HTMLInputElement)) arm();
        } finally {
          isSending = false;
        }
      });
    }
  });

  runCamera(station, scan);
  show();
  arm();
}

/**
 * Scans with the camera, where the browser knows barcodes.
 * @param {HTMLElement} station
 * @param {(code: string) => void} scan
 */
function runCamera(station, scan) {
  const button = find(station, "#camera", HTMLButtonElement);
  const view = find(station, "#camera-view", HTMLVideoElement);
  const Detector = /** @type {any} */ (window).BarcodeDetector;
  if (!button || !view || !Detector || !navigator.mediaDevices) return;
  button.hidden = false;
  const name = button.getAttribute("aria-label") ?? "";
  /** @type {MediaStream | undefined} */
  let stream;
  /** The code in view, when it was last seen, and whether it was missed since: a code counts again once it was out of view. */
  let seen = { code: "", at: 0, isMissed: false };
  const detector = new Detector();
  const stop = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = undefined;
    view.hidden = true;
    button.setAttribute("aria-label", name);
  };
  const look = async () => {
    if (!stream) return;
    const codes = await detector.detect(view).catch(() => []);
    seen.isMissed ||= !codes.length;
    for (const { rawValue } of codes) {
      const now = performance.now();
      // Looks of a busy browser lie far apart.
      if (rawValue !== seen.code || (seen.isMissed && now - seen.at > 1500)) scan(rawValue);
      seen = { code: rawValue, at: now, isMissed: false };
    }
    setTimeout(look, 150);
  };
  button.addEventListener("click", async () => {
    if (stream) return stop();
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
      view.srcObject = stream;
      view.hidden = false;
      button.setAttribute("aria-label", station.dataset.stop ?? "");
      await view.play();
      look();
    } catch {
      stop();
    }
  });
}

/**
 * An entry of a count that is not yet known to be taken.
 * @typedef {{n: number, item: string, id: string, counted: string, seen: string, at: string, when: string, anyway: boolean, held: boolean, action: string}} Entry
 */

/**
 * Returns a new id for a command. (`crypto.randomUUID` is missing without HTTPS.)
 */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Counting: each entry is kept in the browser until the server has said what became of it. So nothing is lost while there is
 * no network, and the command's id makes each entry count once.
 * @param {HTMLFormElement} form
 */
function runCount(form) {
  const place = `stockline-count ${location.pathname} ${form.dataset.who}`;
  const outbox = find(document, "#outbox", HTMLElement);
  const says = find(document, "#count-says", HTMLElement);
  /** @returns {Entry[]} */
  const kept = () => JSON.parse(localStorage.getItem(place) ?? "[]");
  /** @param {Entry[]} entries */
  const keep = (entries) => {
    localStorage.setItem(place, JSON.stringify(entries));
    if (!outbox) return;
    const waiting = entries.filter((entry) => !entry.held).length;
    outbox.hidden = !waiting;
    outbox.textContent = (outbox.dataset.waiting ?? "").replace("{}", String(waiting));
  };
  /** @param {string} item */
  const rowOf = (item) => [...form.querySelectorAll("li.count-row")].find((row) => row instanceof HTMLElement && row.dataset.item === item);
  /** @param {Element} row @param {string} name */
  const input = (row, name) => /** @type {HTMLInputElement} */ (find(row, `[name=${name}]`, HTMLInputElement));

  /** @param {Element} row @param {boolean} anyway */
  const take = (row, anyway) => {
    const counted = input(row, "counted");
    const text = counted.value.trim();
    if (!text || (!anyway && counted.dataset.taken === text)) return;
    counted.dataset.taken = text;
    const entries = kept();
    const item = input(row, "item").value;
    const same = entries.find((entry) => entry.item === item && entry.held);
    // A correction of an entry that may be on its way is a count of its own.
    const id = anyway && same ? same.id : newId();
    const n = 1 + entries.reduce((most, entry) => Math.max(most, entry.n), 0);
    const when = anyway && same ? same.when : new Date().toISOString();
    const at = input(form, "at").value;
    const entry = { n, item, id, counted: text, seen: input(row, "seen").value, at, when, anyway, held: false, action: form.action };
    keep([...entries.filter((other) => other !== same), entry]);
    find(row, ".verdict", HTMLElement)?.replaceChildren(form.dataset.saved ?? "");
    send();
  };

  let isSending = false;
  const send = async () => {
    if (isSending) return;
    isSending = true;
    try {
      for (let entry; (entry = kept().find((other) => !other.held)); ) {
        const { id, item, counted, seen, at, when, anyway, action } = entry;
        const fields = new URLSearchParams({ id, item, counted, seen, at, when, sent_at: new Date().toISOString() });
        if (anyway) fields.set("anyway", id);
        const { part } = await ask(action, { method: "POST", body: fields });
        const verdict = find(part, `[data-entry="${id}"]`, HTMLElement);
        const row = rowOf(item);
        if (!verdict) {
          says?.replaceChildren(part);
          break;
        }
        const status = verdict.dataset.status;
        if (row) find(row, ".verdict", HTMLElement)?.replaceChildren(verdict);
        sound(status === "done" ? "good" : "bad");
        if (status === "open") break;
        const held = status === "conflict";
        keep(kept().flatMap((other) => (other.id !== id ? [other] : held ? [{ ...other, held }] : [])));
        // The next count of this row is made with the knowledge of this one.
        if (row && verdict.dataset.seen) input(row, "seen").value = verdict.dataset.seen;
      }
    } catch {
      if (says) says.textContent = form.dataset.notSent ?? "";
    } finally {
      isSending = false;
    }
  };

  form.addEventListener("change", (event) => {
    const row = event.target instanceof Element && event.target.closest("li.count-row");
    if (row) take(row, false);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const by = event.submitter;
    const row = by?.closest("li.count-row");
    if (row) return take(row, true);
    for (const each of form.querySelectorAll("li.count-row")) take(each, false);
  });

  /** @param {string} code */
  const goTo = (code) => {
    const rows = /** @type {HTMLElement[]} */ ([...form.querySelectorAll("li.count-row")]);
    const row = rows.find((each) => each.dataset.item === code || each.dataset.codes?.split(" ").includes(code));
    for (const each of rows) each.classList.toggle("current", each === row);
    sound(row ? "good" : "bad");
    if (row) {
      row.scrollIntoView({ block: "center" });
      input(row, "counted").select();
    } else if (says) {
      says.textContent = (form.dataset.unknown ?? "").replace("{}", code);
    }
  };
  let burst = "";
  let before = "";
  let lastKey = 0;
  document.addEventListener("keydown", (event) => {
    const at = event.target;
    const isCounted = at instanceof HTMLInputElement && at.name === "counted";
    if (event.key === "Enter") {
      const isScan = burst.length >= SCANNER_CHARS && event.timeStamp - lastKey < SCANNER_GAP_MS * 4;
      if (isScan) {
        event.preventDefault();
        if (isCounted) at.value = before;
        if (isCounted) at.blur();
        goTo(burst);
      } else if (isCounted) {
        event.preventDefault();
        const row = at.closest("li.count-row");
        if (row) take(row, false);
        const next = row?.nextElementSibling;
        if (next) input(next, "counted").select();
      }
      burst = "";
    } else if (event.key.length === 1) {
      if (event.timeStamp - lastKey > SCANNER_GAP_MS || !burst) {
        burst = "";
        before = isCounted ? at.value : "";
      }
      burst += event.key;
    }
    lastKey = event.timeStamp;
  });

  for (const { item, counted } of kept()) {
    const row = rowOf(item);
    if (row) input(row, "counted").value = input(row, "counted").dataset.taken = counted;
  }
  // The view comes first.
  addEventListener("load", () => keepPage(form.dataset.worker ?? ""));
  addEventListener("online", send);
  setInterval(send, 5000);
  keep(kept());
  send();
}

/** What the browser keeps of the page that counts. */
const PAGES = "count";

/**
 * Keeps this page, so that it opens again without network. Browsers allow it with HTTPS and on the server's own machine.
 * @param {string} worker
 */
async function keepPage(worker) {
  if (!navigator.serviceWorker || !window.caches) return;
  try {
    await navigator.serviceWorker.register(worker, { scope: location.pathname });
    const files = [...document.querySelectorAll("link[href], script[src]")].map((file) => file.getAttribute("href") ?? file.getAttribute("src") ?? "");
    await (await caches.open(PAGES)).addAll([location.href, ...files]);
  } catch {
    // Then the page has to stay open.
  }
}

/**
 * Searches while people type.
 * @param {HTMLFormElement} form
 */
function runSearch(form) {
  const list = document.querySelector(form.dataset.search ?? "");
  const latest = asker();
  let waiting = 0;
  let turn = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    const mine = (turn += 1);
    waiting = window.setTimeout(async () => {
      const address = `${form.action}?${body(form)}`;
      const { ok, part } = await latest(address);
      if (!ok || !part || mine !== turn) return;
      list?.replaceChildren(part);
      history.replaceState(null, "", address);
    }, 200);
  });
}

/**
 * Posts a form in the background; the answer takes the place of the part that the form names.
 * @param {SubmitEvent} event
 */
async function postPart(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.part) return;
  event.preventDefault();
  const place = document.querySelector(form.dataset.part);
  if (!place || form.classList.contains("is-busy")) return;
  form.classList.add("is-busy");
  try {
    const hasFile = form.enctype === "multipart/form-data";
    const sent = hasFile ? fields(form, event.submitter) : body(form, event.submitter);
    const { part } = await ask(form.action, { method: "POST", body: sent });
    const next = find(part, form.dataset.part, HTMLElement);
    if (next) {
      form.querySelector(":scope > .notice")?.remove();
      place.replaceWith(next);
      if (next.dataset.focus !== undefined) next.focus();
    } else {
      form.querySelector(":scope > .notice")?.remove();
      form.prepend(part);
    }
  } catch {
    form.submit();
  } finally {
    form.classList.remove("is-busy");
  }
}

/**
 * Keeps a part of the page live while somebody looks at it.
 * @param {HTMLElement} element
 */
function keepLive(element) {
  const every = Number(element.dataset.live) * 1000;
  const isUsed = () => element.contains(document.activeElement) && document.activeElement !== document.body;
  const turns = setInterval(async () => {
    if (document.hidden || isUsed() || !element.id) return;
    const { ok, part } = await ask(location.href).catch(() => ({ ok: false, part: null }));
    const next = ok && part && find(part, `#${element.id}`, HTMLElement);
    // A button that was pressed while the answer was on its way must stay until it is released.
    if (!next || isUsed()) return;
    element.replaceChildren(...next.childNodes);
    // What has come to its end changes no more.
    if (next.dataset.live === undefined) clearInterval(turns);
  }, every);
}

/**
 * Loads a part of the page that takes longer than the page.
 * @param {HTMLElement} element
 */
async function load(element) {
  const { ok, part } = await ask(element.dataset.load ?? "").catch(() => ({ ok: false, part: null }));
  if (ok && part) element.replaceChildren(part);
}

// A menu closes when something else is used.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.drop[open]")) {
    if (event.target instanceof Node && !menu.contains(event.target)) menu.removeAttribute("open");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.drop[open]")) {
    menu.removeAttribute("open");
    find(menu, "summary", HTMLElement)?.focus();
  }
});

document.addEventListener("submit", postPart);

// The second click of a double click may fall on the page that the first one led to, where another form has come to this
// place. It submits nothing.
let clicks = 0;
document.addEventListener("click", (event) => (clicks = event.detail), true);
document.addEventListener("submit", (event) => {
  if (clicks > 1) event.preventDefault();
});
// Who signs out leaves no page behind.
if (location.pathname.endsWith("/console/signed-out")) window.caches?.delete(PAGES);
const station = find(document, "#station", HTMLElement);
if (station) runStation(station);
const count = find(document, "#count", HTMLFormElement);
if (count) runCount(count);
for (const form of document.querySelectorAll("form[data-search]")) if (form instanceof HTMLFormElement) runSearch(form);
for (const part of document.querySelectorAll("[data-live]")) if (part instanceof HTMLElement) keepLive(part);
for (const part of document.querySelectorAll("[data-load]")) if (part instanceof HTMLElement) load(part);
for (const button of document.querySelectorAll("button[data-print]")) {
  if (!(button instanceof HTMLButtonElement)) continue;
  button.hidden = false;
  button.addEventListener("click", () => print());
}
