// The manager's pages, and what holds on every page: accessibility, size, width.
import { mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { api, apply, DESK, flow, item, leads, ok, onHand, person, PHONE, picture, root, same, stockline, until } from "./harness.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
await api("PUT", "/v1/locations/store-2", { name: "Harbour store", time_zone: "Europe/Berlin" });
await item("cola", "Cola 0.33 l", "100", { barcodes: ["4006381333931"], unit: "bottle", low_stock_threshold: "10", category: "Drinks" });
await item("tea", "Green tea", "3", { low_stock_threshold: "5", category: "Drinks" });
await item("rare", "Rare thing", "1", { shortage_policy: "reject" });
await apply({ type: "sell", item_id: "cola", location_id: "main", quantity: "30" });
await apply({ type: "transfer", item_id: "cola", from_location_id: "main", to_location_id: "store-2", quantity: "20" });
await apply({ type: "sell", item_id: "tea", location_id: "main", quantity: "5" });
const refuse = (item_id, location_id = "main") =>
  api("POST", "/v1/commands", { type: "sell", command_id: crypto.randomUUID(), item_id, location_id, quantity: "4" }, { prefer: "wait=10" });
await refuse("rare");
await refuse("colla");
await refuse("nothing-of-ours");

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
      const seen = [];
      fresh.on("response", (answer) => seen.push(answer));
      await fresh.goto(`${root}/console${path}`);
      const bytes = await Promise.all(seen.map(async (answer) => gzipSync(await answer.body()).length));
      ok(seen.length <= 5, `${path}: ${seen.length} requests`);
      ok(seen.every((answer) => answer.url().startsWith(root)), `${path}: a request to elsewhere`);
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
    await page.getByRole("button", { name: "Add the item" }).click();
    await page.locator("h1", { hasText: "Lemonade" }).waitFor();
    same(await onHand("lemo.5"), "12", "opening stock");
    await page.getByLabel("Threshold at Main").fill("15");
    await leads(page, () => page.locator("form.inline button").click());
    await page.locator(".notice.good").waitFor();
    same((await api("GET", "/v1/items/lemo.5")).levels[0].state, "low", "the threshold judges");
    await page.locator("summary", { hasText: "Change the item" }).click();
    await page.getByLabel("Category").fill("Drinks");
    await page.getByLabel("Supplier", { exact: true }).fill("Drinks Ltd");
    await page.getByLabel("Delivery takes days", { exact: true }).fill("3");
    await page.getByLabel("Chance in % that it lasts", { exact: true }).fill("97.5");
    await leads(page, () => page.locator("form.form button").click());
    await page.locator(".notice.good").waitFor();
    const planned = await api("GET", "/v1/items/lemo.5");
    same([planned.supplier, planned.lead_time_days, planned.service_level, planned.order_multiple], ["Drinks Ltd", 3, "97.5", null], "how it is ordered");
    await page.locator("summary", { hasText: "Orders by location" }).click();
    await page.getByLabel("Delivery takes days Main").fill("0");
    await leads(page, () => page.getByRole("button", { name: "Orders by location: Main" }).click());
    await page.locator(".notice.good").waitFor();
    same((await api("GET", "/v1/items/lemo.5")).overrides, [{ location_id: "main", lead_time_days: 0 }], "what a location has instead");
    await page.locator("summary", { hasText: "Change the item" }).click();
    await leads(page, () => page.getByRole("button", { name: "Archive" }).click());
    await page.locator(".notice.good").waitFor();
    same((await api("GET", "/v1/items/lemo.5")).archived, true, "archived");
  },

  async "chosen items are changed alike, once, archived and brought back"() {
    for (const n of [1, 2, 3]) await item(`bulk-${n}`, `Bulk ${n}`, "5");
    const { page, wrong } = await person("manager", { size: DESK });
    const choose = async (act, value = "", numbers = [1, 2], of = "") => {
      await page.goto(`${root}/console/items?q=Bulk${of}`);
      for (const n of numbers) await page.getByLabel(`Choose Bulk ${n}`).check();
      await page.getByLabel("What").selectOption({ label: act });
      await page.getByLabel("Category, supplier or threshold").fill(value);
      await page.getByRole("button", { name: "Change them" }).dblclick();
      await page.locator(".notice").first().waitFor();
      return (await page.locator(".notice").allInnerTexts()).join("\n");
    };
    same(await choose("Set the category", "Party"), "2 items changed", "the category");
    same(await choose("Set the threshold", "7"), "2 items changed", "the threshold");
    same(await choose("Set the supplier", "Party Ltd"), "2 items changed", "the supplier");
    const read = async (n) => api("GET", `/v1/items/bulk-${n}`);
    same([(await read(1)).category, (await read(2)).low_stock_threshold, (await read(3)).category], ["Party", "7", null], "only the chosen ones");
    same((await read(1)).version, 4, "each change was made once");
    await page.goto(`${root}/console/items?supplier=Party+Ltd`);
    same(await page.locator("#list li").count(), 2, "the filter by supplier");
    await page.goto(`${root}/console/items?category=Party`);
    same(await page.locator("#list li").count(), 2, "the filter by category");
    same(await choose("Archive"), "2 items changed", "archived");
    await page.goto(`${root}/console/items?q=Bulk`);
    same(await page.locator("#list li").count(), 1, "archived items leave the list");
    same(await choose("Bring back", "", [1, 2], "&archived=yes"), "2 items changed", "brought back");
    same((await read(2)).archived, false, "back");
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
    stockline("backup", join(mkdtempSync(join(tmpdir(), "backup-")), "shop.tar"));
    await until(page, "the page is live", () => !document.querySelector("#operations").innerText.includes("never"));
    await page.locator("h2", { hasText: "Items that move most" }).waitFor();
    const gone = await page.request.post(`${root}/console/operations`, { form: { act: "retry", item: "cola", id: crypto.randomUUID() }, headers: { origin: root } });
    ok((await gone.text()).includes("notice bad"), "what is no dead letter is said");
    const staff = await person("staff");
    same((await staff.page.request.post(`${root}/console/operations`, { form: { act: "discard", item: "cola", id: crypto.randomUUID() }, headers: { origin: root } })).status(), 403, "not by Staff");
  },

  async "a refused sale is corrected and sent again once"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/refused`);
    const card = page.locator("li.refused", { hasText: "colla" });
    await card.getByLabel("Item").fill("cola");
    const before = Number(await onHand("cola"));
    await card.getByRole("button", { name: "Send again" }).dblclick();
    await page.locator(".notice.good").waitFor();
    same(Number(await onHand("cola")), before - 4, "sold once");
    same(await page.locator("li.refused", { hasText: "colla" }).count(), 0, "it left the list");
    const rare = page.locator("li.refused", { hasText: "rare" });
    await rare.getByLabel("Sell although").check();
    await leads(page, () => rare.getByRole("button", { name: "Send again" }).click());
    await page.locator(".notice.good").waitFor();
    same(await onHand("rare"), "-3", "sold although there was too little");
  },

  async "what needs nothing is taken off the list, with the reason"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/refused`);
    const card = page.locator("li.refused", { hasText: "nothing-of-ours" });
    await card.getByLabel("nothing is to be done").fill("a test of the till");
    await card.getByRole("button", { name: "Take it off the list" }).click();
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
    await page.getByRole("button", { name: "Reverse: Sold 5" }).dblclick();
    await page.locator(".notice.good").waitFor();
    same(Number(await onHand("tea")), before + 5, "the sale is undone once");
  },

  async "a threshold leads to a mail and to Today"() {
    const { page } = await person("manager");
    await page.goto(`${root}/console/today`);
    await page.locator(".row", { hasText: "Green tea" }).first().waitFor();
    ok((await page.locator(".figure.oversold").innerText()).includes("oversold"), "the figure");
    await page.locator(".row small", { hasText: "mailed" }).first().waitFor();
  },
});
