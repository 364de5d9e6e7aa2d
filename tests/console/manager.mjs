// The manager's pages, and what holds on every page: accessibility, size, width.
import { mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { api, apply, becomes, DESK, flow, item, leads, ok, onHand, person, PHONE, picture, root, same, settle, stocked, stockline, until } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
await api("PUT", "/v1/locations/store-2", { name: "Harbour store", time_zone: "Europe/Berlin" });
await item("cola", "Cola 0.33 l", "100", { barcodes: ["4006381333931"], unit: "bottle", low_stock_threshold: "10", category: "Drinks" });
await item("tea", "Green tea", "3", { low_stock_threshold: "5", category: "Drinks" });
await item("rare", "Rare thing", "1", { shortage_policy: "reject" });
await apply({ type: "sell", item_id: "cola", location_id: "main", quantity: "30" });
await apply({ type: "transfer", item_id: "cola", from_location_id: "main", to_location_id: "store-2", quantity: "20" });
await apply({ type: "sell", item_id: "tea", location_id: "main", quantity: "5" });
for (const item_id of ["rare", "colla", "nothing-of-ours"]) {
  same((await settle({ type: "sell", item_id, location_id: "main", quantity: "4" })).status, "rejected", item_id);
}

const PAGES = ["", "/today", "/count", "/count?blind=no", "/items", "/items?state=low", "/items/new", "/items/cola", "/refused", "/import", "/export", "/reports", "/reports/sales", "/reports/value", "/reports/reorder", "/locations", "/people", "/operations", "/no-such-page"];

await flow({
  async "axe finds nothing on any page, light and dark, on a phone and on a desk, and nothing scrolls sideways"() {
    for (const size of [PHONE, DESK]) {
      for (const dark of [false, true]) {
        const { page, wrong, context } = await person("manager", { size, dark });
        const session = await context.newCDPSession(page);
        const check = async (path) => {
          // The page's policy lets no script of others in; the browser's own evaluation is outside of it.
          await session.send("Runtime.evaluate", { expression: axe });
          const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
          same(violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`), [], `${path} ${dark ? "dark" : "light"} ${size.width}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth);
          ok(wide <= size.width, `${path} is ${wide} px wide`);
        };
        for (const path of PAGES) {
          await page.goto(`${root}/console${path}`);
          await check(path);
          await picture(page, `page${path.replace(/\W/g, "-")}-${size.width}${dark ? "-dark" : ""}`);
        }
        await page.context().clearCookies();
        await page.goto(`${root}/console/sign-in`);
        await check("/sign-in");
        await picture(page, `sign-in-${size.width}${dark ? "-dark" : ""}`);
        same(wrong, [], "errors of the pages");
      }
    }
  },

  async "a first view is at most 60 KB in at most 5 requests, all from here"() {
    const { page, context } = await person("manager");
    for (const path of PAGES) {
      const fresh = await context.newPage();
      const asked = new Set();
      const note = (request) => asked.add(request.url());
      fresh.on("request", note);
      // What is asked for once the page is loaded keeps it live, or keeps it for later.
      fresh.once("load", () => fresh.off("request", note));
      await fresh.goto(`${root}/console${path}`);
      // The browser asks for the icon when it likes, and not again for the next page.
      asked.add(await fresh.locator("link[rel=icon]").evaluate((icon) => icon.href));
      const all = [...asked].map((url) => url.slice(url.startsWith(root) ? root.length : 0)).join(" ");
      ok(asked.size <= 5, `${path}: ${asked.size} requests: ${all}`);
      ok([...asked].every((url) => url.startsWith(root)), `${path}: a request to elsewhere: ${all}`);
      const bytes = await Promise.all([...asked].map(async (url) => gzipSync(await (await page.request.get(url)).body()).length));
      const total = bytes.reduce((sum, one) => sum + one, 0);
      ok(total <= 60 * 1024, `${path}: ${total} bytes`);
      await fresh.close();
    }
    await page.close();
  },

  async "nothing moves for who wants no motion"() {
    const { page } = await person("manager");
    const animation = () => page.evaluate(() => {
      const line = document.querySelector("#list") ?? document.body;
      line.classList.add("flash-good");
      return getComputedStyle(line).animationName;
    });
    await page.goto(`${root}/console/items`);
    same(await animation(), "flash-good", "a flash");
    await page.emulateMedia({ reducedMotion: "reduce" });
    same(await animation(), "none", "no flash");
  },

  async "a manager adds an item, changes it, sets a threshold and archives it, and what is wrong is kept"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/items/new`);
    await page.getByLabel("SKU").fill("cola");
    await page.getByLabel("Name").fill("Lemonade");
    await page.getByLabel("On hand now").fill("12");
    await page.getByRole("button", { name: "Add the item" }).click();
    await page.locator(".notice.bad").waitFor();
    same(await page.getByLabel("Name").inputValue(), "Lemonade", "what was typed is kept");
    await page.getByLabel("SKU").fill("lemo.5");
    await leads(page, () => page.getByRole("button", { name: "Add the item" }).click());
    await page.locator("h1", { hasText: "Lemonade" }).waitFor();
    await stocked("lemo.5", "12", "opening stock");
    await page.getByLabel("Threshold at Main").fill("15");
    await leads(page, () => page.locator("form.inline button").click());
    await page.locator(".notice.good").waitFor();
    const read = () => api("GET", "/v1/items/lemo.5");
    await becomes(read, ({ levels }) => levels[0].state === "low", "the threshold judges");
    await page.locator("summary", { hasText: "Change the item" }).click();
    await page.getByLabel("Category").fill("Drinks");
    await page.getByLabel("Supplier", { exact: true }).fill("Drinks Ltd");
    await page.getByLabel("Delivery takes days", { exact: true }).fill("3");
    await page.getByLabel("Chance in % that it lasts", { exact: true }).fill("97.5");
    await leads(page, () => page.locator("form.form button").click());
    await page.locator(".notice.good").waitFor();
    const planned = await becomes(read, ({ supplier }) => supplier, "it is changed");
    same([planned.supplier, planned.lead_time_days, planned.service_level, planned.order_multiple], ["Drinks Ltd", 3, "97.5", null], "how it is ordered");
    await page.locator("summary", { hasText: "Orders by location" }).click();
    await page.getByLabel("Delivery takes days Main").fill("0");
    await leads(page, () => page.getByRole("button", { name: "Orders by location: Main" }).click());
    await page.locator(".notice.good").waitFor();
    const { overrides } = await becomes(read, (found) => found.overrides.length, "a location has something instead");
    same(overrides, [{ location_id: "main", lead_time_days: 0 }], "what a location has instead");
    await page.locator("summary", { hasText: "Change the item" }).click();
    await leads(page, () => page.getByRole("button", { name: "Archive" }).click());
    await page.locator(".notice.good").waitFor();
    await becomes(read, ({ archived }) => archived, "archived");
  },

  async "items are searched while somebody types, and what nobody waits for any more is given up"() {
    const { page, wrong } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/items`);
    const given = [];
    page.on("requestfailed", (request) => given.push(request.url()));
    // The first search is slow.
    await page.route("**/console/items?q=gre&*", () => {});
    const [asked] = await Promise.all([page.waitForRequest("**/console/items?q=gre&*"), page.locator("#q").fill("gre")]);
    await page.locator("#q").fill("rare");
    await until(page, "only what is searched", () => [...document.querySelectorAll("#list strong")].map((one) => one.textContent).join() === "Rare thing");
    same(given, [asked.url()], "the search before");
    ok(page.url().includes("q=rare"), "the address can be kept");
    await page.locator("#q").fill("4006381333931");
    await page.locator("#list strong", { hasText: "Cola" }).waitFor();
    await page.locator("#q").fill("no such thing");
    await page.locator("#list .empty", { hasText: "No items found" }).waitFor();
    same(wrong, [], "errors of the page");
  },

  async "chosen items are changed alike, once, archived and brought back"() {
    for (const n of [1, 2, 3]) await item(`bulk-${n}`, `Bulk ${n}`, "5");
    const { page, wrong } = await person("manager", { size: DESK });
    const choose = async (act, value = "", numbers = [1, 2], of = "") => {
      await page.goto(`${root}/console/items?q=Bulk${of}`);
      for (const n of numbers) await page.getByLabel(`Choose Bulk ${n}`).check();
      await page.getByLabel("What").selectOption({ label: act });
      await page.getByLabel("Category, supplier or threshold").fill(value);
      await leads(page, () => page.getByRole("button", { name: "Change them" }).dblclick());
      return (await page.locator(".notice").allInnerTexts()).join("\n");
    };
    same(await choose("Set the category", "Party"), "2 items changed", "the category");
    same(await choose("Set the threshold", "7"), "2 items changed", "the threshold");
    same(await choose("Set the supplier", "Party Ltd"), "2 items changed", "the supplier");
    const read = async (n) => api("GET", `/v1/items/bulk-${n}`);
    for (const n of [1, 2]) {
      const { category, low_stock_threshold, version } = await becomes(() => read(n), ({ supplier }) => supplier === "Party Ltd", "the last change");
      same([category, low_stock_threshold, version], ["Party", "7", 4], "each change was made once");
    }
    same((await read(3)).category, null, "only the chosen ones");
    await page.goto(`${root}/console/items?supplier=Party+Ltd`);
    same(await page.locator("#list li").count(), 2, "the filter by supplier");
    await page.goto(`${root}/console/items?category=Party`);
    same(await page.locator("#list li").count(), 2, "the filter by category");
    same(await choose("Archive"), "2 items changed", "archived");
    await page.goto(`${root}/console/items?q=Bulk`);
    same(await page.locator("#list li").count(), 1, "archived items leave the list");
    same(await choose("Bring back", "", [1, 2], "&archived=yes"), "2 items changed", "brought back");
    await becomes(() => read(2), ({ archived }) => !archived, "back");
    same(await choose("Archive", "", []), "Choose the items first.", "nothing chosen");
    ok((await choose("Set the threshold", "many")).includes("low_stock_threshold"), "what is wrong is said");
    same(wrong, [], "errors of the pages");
  },

  async "operations has the figures, and a command that was set aside is decided"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/operations`);
    for (const name of ["commands wait", "free on their disk", "last backup", "(p99)", "commands accepted per second"]) {
      await page.locator(".figure", { hasText: name }).first().waitFor();
    }
    ok((await page.locator(".figure", { hasText: "last backup" }).innerText()).includes("never"), "no backup yet");
    ok(/Stockline \d+\.\d+\.\d+/.test(await page.locator("#operations").innerText()), "the version");
    stockline("backup", join(mkdtempSync(join(tmpdir(), "backup-")), "shop.tar"));
    await until(page, "the page is live", () => !document.querySelector("#operations").innerText.includes("never"));
    await page.locator("h2", { hasText: "Items that move most" }).waitFor();
    const gone = await page.request.post(`${root}/console/operations`, { form: { act: "retry", item: "cola", id: crypto.randomUUID() }, headers: { origin: root } });
    ok((await gone.text()).includes("notice bad"), "what is no dead letter is said");
    const staff = await person("staff");
    same((await staff.page.request.post(`${root}/console/operations`, { form: { act: "discard", item: "cola", id: crypto.randomUUID() }, headers: { origin: root } })).status(), 403, "not by Staff");
  },

  async "a refused sale is corrected and sent again once, and a double click sends nothing that came to its place"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/today`);
    const open = page.locator(`a.figure[href$="/console/refused"]`, { hasText: "refused" });
    ok(Number(await open.locator("strong").innerText()) >= 3, "Today counts them");
    await leads(page, () => open.click());
    const posts = [];
    page.on("request", (request) => request.method() === "POST" && posts.push(request.url()));
    const card = page.locator("li.refused", { hasText: "colla" });
    await card.getByLabel("Item").fill("cola");
    const before = Number(await onHand("cola"));
    await leads(page, () => card.getByRole("button", { name: "Send again" }).dblclick());
    await page.locator(".notice.good").waitFor();
    await stocked("cola", String(before - 4), "sold once");
    same(await page.locator("li.refused", { hasText: "colla" }).count(), 0, "it left the list");
    const rare = page.locator("li.refused", { hasText: "rare" });
    // A slow second click falls on the page that came.
    const { x, y, width, height } = await rare.getByRole("button", { name: "Send again" }).boundingBox();
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down({ clickCount: 2 });
    await page.mouse.up({ clickCount: 2 });
    await rare.getByLabel("Sell although").check();
    await leads(page, () => rare.getByRole("button", { name: "Send again" }).click());
    await page.locator(".notice.good").waitFor();
    await stocked("rare", "-3", "sold although there was too little");
    same(posts.length, 2, "a form for each double click and each click");
  },

  async "refused sales of one reason are sent again all alike, once"() {
    const sale = (item_id) => settle({ type: "sell", item_id, location_id: "main", quantity: "2" });
    for (const item_id of ["twin-1", "twin-2"]) same((await sale(item_id)).rejection.code, "unknown_item", item_id);
    for (const item_id of ["twin-1", "twin-2"]) await item(item_id, `Twin ${item_id}`, "10");
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/refused`);
    const alike = page.locator("form.card", { hasText: "unknown_item" });
    await leads(page, () => alike.getByRole("button", { name: "Send all of these again" }).dblclick());
    await page.locator(".notice").first().waitFor();
    for (const item_id of ["twin-1", "twin-2"]) {
      await stocked(item_id, "8", "sold once");
      same(await page.locator("li.refused", { hasText: item_id }).count(), 0, `${item_id} left the list`);
    }
  },

  async "an item tells Managers what it costs, and all that moved it, page by page"() {
    await item("busy", "Busy thing", "");
    const commands = Array.from({ length: 60 }, (_, n) => ({ type: "receive", command_id: crypto.randomUUID(), item_id: "busy", location_id: "main", quantity: "1", unit_cost: n < 30 ? "0.40" : "0.50", operator: "anna", note: `box ${n}` }));
    await becomes(() => api("POST", "/v1/commands/batch", { commands }, { prefer: "wait=20" }), ({ results }) => results.every(({ outcome }) => outcome?.status === "applied"), "60 boxes");
    await apply({ type: "sell", item_id: "busy", location_id: "main", quantity: "4" });
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/items/busy`);
    await page.locator("summary", { hasText: "Change the item" }).click();
    await page.getByLabel("Unit cost").fill("0.45");
    await leads(page, () => page.locator("form.form button").click());
    await page.locator(".notice.good").waitFor();
    await becomes(() => api("GET", "/v1/items/busy"), ({ unit_cost }) => unit_cost === "0.45", "the cost is saved");
    await page.goto(`${root}/console/items/busy`);
    const facts = () => page.locator(".facts div").evaluateAll((all) => all.map((one) => one.innerText.replace(/\s+/g, " ")));
    same((await facts()).slice(-3), ["Unit cost 0.45", "Average cost 0.45", "Value 25.2"], "what it costs");
    await page.locator("summary", { hasText: "The same as a table" }).click();
    const days = await page.locator("details[open] tbody tr").evaluateAll((rows) => rows.map((row) => [...row.querySelectorAll("td")].map((cell) => cell.innerText)));
    same([days.at(0), await page.locator("figure.chart svg").count()], [["4", "56"], 2], "the charts of stock and sales, and their table");
    const boxes = () => page.locator("tr", { hasText: "box" }).evaluateAll((rows) => rows.map((row) => /box (\d+)/.exec(row.innerText)[1]));
    const first = await boxes();
    ok((await page.locator("tr", { hasText: "box 59" }).innerText()).includes("anna"), "who");
    await leads(page, () => page.getByRole("link", { name: "More" }).click());
    const all = [...first, ...(await boxes())].map(Number);
    same([first.length, all], [49, Array.from({ length: 60 }, (_, n) => 59 - n)], "every movement once, the newest first (the sale is before them)");
    same(await page.getByRole("link", { name: "More" }).count(), 0, "the end");
    const staff = await person("staff", { size: DESK });
    await staff.page.goto(`${root}/console/items/busy`);
    same(await staff.page.locator(".facts dt", { hasText: "cost" }).count(), 0, "Staff are not told");
  },

  async "what needs nothing is taken off the list, with the reason"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/refused`);
    const card = page.locator("li.refused", { hasText: "nothing-of-ours" });
    await card.getByLabel("nothing is to be done").fill("a test of the till");
    await leads(page, () => card.getByRole("button", { name: "Take it off the list" }).click());
    await page.locator(".notice.good").waitFor();
    same(await page.locator("li.refused", { hasText: "nothing-of-ours" }).count(), 0, "it left the list");
    const all = await api("GET", "/v1/commands?status=rejected&all=true");
    const { rejection } = all.commands.find((command) => command.item_id === "nothing-of-ours");
    same(rejection.dismissed_because, "a test of the till", "the reason is kept");
  },

  async "a movement is reversed once"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/items/tea`);
    const before = Number(await onHand("tea"));
    await leads(page, () => page.getByRole("button", { name: "Reverse: Sold 5" }).dblclick());
    await page.locator(".notice.good").waitFor();
    await stocked("tea", String(before + 5), "the sale is undone once");
  },

  async "a threshold leads to a mail and to Today"() {
    const { page } = await person("manager");
    await becomes(() => api("GET", "/v1/alerts"), ({ alerts }) => alerts.some(({ item_id, sent_at }) => item_id === "tea" && sent_at), "a mail");
    await page.goto(`${root}/console/today`);
    const tea = page.locator(".row", { hasText: "Green tea" });
    ok(/· mailed \d/.test((await tea.locator("small").allInnerTexts()).join()), "it says when it was mailed");
    ok((await page.locator(".figure.oversold").innerText()).includes("oversold"), "the figure");
  },
});
