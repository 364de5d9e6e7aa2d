// A browser at the console of a real server. The flows beside this file use it; `tests/tests/homes/console.rs` runs them.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { SHOP_URL, SHOP_DATA, SHOP_PROGRAM, SHOP_PICTURES } = process.env;
export const root = SHOP_URL;
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
const executablePath = process.env.SHOP_CHROMIUM ?? "/usr/bin/chromium";
// A profile of its own: `launch` makes one, and removes it.
const browser = await chromium.launch({ executablePath, headless: true, args: flags });
/** The time after which a flow fails. It is long, because a flow without faults never reaches it. */
const PATIENCE_MS = 60_000;
export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1280, height: 900 };

/** Fails with both values if they differ. */
export function same(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: found ${a}, expected ${b}`);
}

export function ok(holds, what) {
  if (!holds) throw new Error(what);
}

/** Runs the command line on the server's folder. */
export function stockline(...words) {
  return execFileSync(SHOP_PROGRAM, [...words, "--data", SHOP_DATA], { encoding: "utf8" }).trim();
}

export function link(role = "manager", ...more) {
  return stockline("console", "link", "--role", role, ...more);
}

const token = stockline("token", "--role", "manager");

/** Calls the API as a manager. */
export async function api(method, path, body, more = {}) {
  const headers = { authorization: `Bearer ${token}`, ...more };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(root + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const json = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(json)}`);
  return json;
}

/** Returns the outcome of a command. Until there is one, the same command is sent again. */
export async function settle(command) {
  const sent = { command_id: crypto.randomUUID(), ...command };
  return becomes(() => api("POST", "/v1/commands", sent, { prefer: "wait=20" }), (outcome) => outcome.status !== "queued", JSON.stringify(sent));
}

/** Applies a command. */
export async function apply(command) {
  const outcome = await settle(command);
  same(outcome.status, "applied", JSON.stringify(command));
  return outcome;
}

/** Registers an item with stock at `main`. */
export async function item(item_id, name, quantity, more = {}) {
  await apply({ type: "register_item", item_id, name, ...more });
  if (quantity) await apply({ type: "receive", item_id, location_id: "main", quantity });
}

/** Returns what is on hand of an item at a location. */
export async function onHand(item_id, location_id = "main") {
  const found = await api("GET", `/v1/items/${encodeURIComponent(item_id)}`);
  return found.levels.find((level) => level.location_id === location_id)?.on_hand;
}

/** Reads until what was read holds, and returns it. */
export async function becomes(read, holds, what) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await read();
    if (holds(found)) return found;
    if (Date.now() > deadline) throw new Error(`${what}: it never came, but ${JSON.stringify(found)}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Waits until this much is on hand. A page waits 5 s for what it submits, and then says that it is accepted. */
export async function stocked(item_id, quantity, what, location_id = "main") {
  await becomes(() => onHand(item_id, location_id), (found) => found === quantity, `${what}: ${item_id} at ${location_id}, expected ${quantity}`);
}

/** Opens a browser of its own for one person, and signs them in. */
export async function person(role = "manager", { at = [], size = PHONE, script = true, dark = false, locale = "en-GB", signIn = true, subject = role } = {}) {
  const context = await browser.newContext({ viewport: size, javaScriptEnabled: script, colorScheme: dark ? "dark" : "light", locale, hasTouch: size === PHONE });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => {
    // A refused form and a lost network are logged by the browser itself.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) wrong.push(message.text());
  });
  if (signIn) {
    await page.goto(link(role, "--subject", subject, ...at.flatMap((location) => ["--location", location])));
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/console$/);
  }
  return { context, page, wrong };
}

/** Waits until something holds on the page. (The page's policy forbids what playwright's own `waitForFunction` does.) */
export async function until(page, what, holds, argument) {
  await becomes(() => page.evaluate(holds, argument), Boolean, what);
}

/** Does something that leads to a new page, and waits until that page is loaded and its script has run. What the page before
 * shows proves nothing, and neither does its `load` event, which may come late. So the page before is marked. */
export async function leads(page, act) {
  await page.evaluate(() => void (document.documentElement.dataset.before = "yes"));
  await act();
  await page.locator("html:not([data-before])").waitFor({ state: "attached" });
  await page.waitForLoadState("load");
}

/** Texts that would be markup or script where they are not escaped. */
export const TRICKS = [`<script>window.hit=1</script>`, `"><img src=x onerror="window.hit=1">`, `'-window.hit=1-'`, `</title><svg onload=window.hit=1>`, `{{7*7}}\${7*7}`, `javascript:window.hit=1`, `&lt;b&gt;`];

/** Fails if a text of others became markup or ran. */
export async function clean(page, where) {
  same(await page.evaluate(() => globalThis.hit), undefined, `${where}: a script ran`);
  same(await page.locator("img, svg[onload], main script, b").count(), 0, `${where}: markup`);
}

const scanners = new WeakMap();
const KEY_MS = 5;

/** Types as a scanner does: a key each five milliseconds, with Enter at the end, wherever the focus is. The keys carry the times
 * of such a scanner, as those of a keyboard carry the system's: a busy machine delivers them late, and tells when they were. */
export async function scan(page, ...codes) {
  if (!scanners.has(page)) scanners.set(page, await page.context().newCDPSession(page));
  const scanner = scanners.get(page);
  const keys = codes.flatMap((code) => [...[...code].map((key) => ({ key, code: "", text: key })), { key: "Enter", code: "Enter", text: "\r" }]);
  const began = Date.now() - keys.length * KEY_MS;
  await Promise.all(keys.flatMap(({ key, code, text }, n) => {
    const timestamp = (began + n * KEY_MS) / 1000;
    const windowsVirtualKeyCode = key === "Enter" ? 13 : key.toUpperCase().charCodeAt(0);
    return [
      scanner.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, text, windowsVirtualKeyCode, timestamp }),
      scanner.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, timestamp }),
    ];
  }));
}

/** Takes a picture, if somebody wants pictures. */
export async function picture(page, name) {
  if (SHOP_PICTURES) await page.screenshot({ path: join(SHOP_PICTURES, `${name}.png`), animations: "disabled" });
}

/** Runs the parts of a flow one after the other, and ends. */
export async function flow(parts) {
  let failed = 0;
  for (const [name, part] of Object.entries(parts)) {
    try {
      await part();
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}: ${error.message.replace(/\x1b\[\d+m/g, "").replace(/\s+/g, " ").slice(0, 300)}\n${error.stack}`);
    }
  }
  await browser.close();
  process.exit(failed ? 1 : 0);
}
