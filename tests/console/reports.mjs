// Reports: what sold, what to order, as tables, charts and CSV.
import { api, apply, clean, DESK, flow, item, leads, ok, person, PHONE, picture, root, same, TRICKS } from "./harness.mjs";

const DAY = 24 * 3_600_000;
const at = (days) => new Date(Date.now() - days * DAY).toISOString();
await api("PUT", "/v1/locations/store-2", { name: "Harbour store", time_zone: "Europe/Berlin" });
for (const [item_id, name, category, daily] of [["cola", "Cola 0.33 l", "Drinks", 4], ["tea", "Green tea", "Drinks", 2], ["soap", "Soap", "House", 1]]) {
  await apply({ type: "register_item", item_id, name, category, unit_cost: "0.5" });
  await apply({ type: "receive", item_id, location_id: "main", quantity: String(daily * 29), unit_cost: "0.5", occurred_at: at(28.5) });
  for (let days = 27; days >= 1; days--) await apply({ type: "sell", item_id, location_id: "main", quantity: String(daily), amount: String(daily), occurred_at: at(days) });
}
await item("trick", TRICKS[1], "3");
const cells = (page, part = "tbody") => page.locator(`table.table ${part} tr`).evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())));
const NAMES = ["sales", "velocity", "cover", "lost-sales", "sell-through", "abc", "dead-stock", "turnover", "shrinkage", "value"];

await flow({
  async "sales are shown by day with a chart and sums, by item, and as the same CSV"() {
    const { page, wrong } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/reports`);
    await leads(page, () => page.getByRole("link", { name: "Sales Units" }).click());
    await page.locator("h1", { hasText: "Sales" }).waitFor();
    ok(await page.locator(".chart svg rect").count() > 20, "a bar for each day");
    const days = await cells(page);
    ok(days.length >= 27, `${days.length} days`);
    const net = days.reduce((sum, row) => sum + Number(row[3]), 0);
    same((await cells(page, "tfoot"))[0][3], String(net), "the sum of the days");
    await page.getByLabel("By", { exact: true }).selectOption({ label: "SKU" });
    await leads(page, () => page.getByRole("button", { name: "Show" }).click());
    await page.locator("td", { hasText: "Cola 0.33 l" }).waitFor();
    const rows = await cells(page);
    same(rows.map((row) => row[0]).slice(0, 3), ["cola", "tea", "soap"], "the greatest first");
    same(rows.reduce((sum, row) => sum + Number(row[4]), 0), net, "the same units by item");
    ok((await page.locator(".chart text").allTextContents()).includes("Green tea"), "the chart names them");
    await leads(page, () => page.getByRole("link", { name: "Sold", exact: true }).click());
    await page.locator(`th[aria-sort="descending"]`, { hasText: "Sold" }).waitFor();
    await picture(page, "report-sales");
    const csv = await (await page.request.get(root + (await page.getByRole("link", { name: "CSV" }).getAttribute("href")))).text();
    const lines = csv.trim().split("\r\n").map((line) => line.split(","));
    same(lines[0].slice(0, 3), ["item_id", "name", "sold"], "the headings");
    same(lines.slice(1, 4).map((line) => line[0]), ["cola", "tea", "soap"], "the same order");
    same(wrong, [], "errors of the pages");
  },

  async "every report has its page, in words, and none takes markup or nonsense"() {
    const { page, wrong } = await person("manager");
    for (const name of NAMES) {
      same((await page.goto(`${root}/console/reports/${name}`)).status(), 200, name);
      await clean(page, name);
      ok(await page.locator("summary", { hasText: "What the figures mean" }).count(), `${name} says what it means`);
      const raw = await page.locator("thead th").evaluateAll((all) => all.map((one) => one.textContent).filter((text) => /_/.test(text)));
      same(raw, [], `${name}: columns without a name`);
    }
    for (const query of ["last=never", "from=2020-02-31&to=x", "group=nothing", "sort=-nothing", "location=nowhere", `category=${encodeURIComponent(TRICKS[0])}`, "cursor=x"]) {
      const answer = await page.goto(`${root}/console/reports/sales?${query}`);
      ok([200, 404].includes(answer.status()), `${query}: ${answer.status()}`);
      await clean(page, query);
    }
    same((await page.goto(`${root}/console/reports/secrets`)).status(), 404, "no other report");
    same(wrong, [], "errors of the pages");
  },

  async "what to order stands on a list to print, and on Today"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/today`);
    await page.locator("#orders .row", { hasText: "Cola" }).waitFor();
    await leads(page, () => page.locator("#orders").getByRole("link", { name: "Order list" }).click());
    await page.locator("table.orders").waitFor();
    const few = parseFloat((await cells(page)).find(([name]) => name.startsWith("Cola"))[4]);
    ok(few > 4 * 7, `${few} Cola`);
    await page.getByLabel("Days from order to order").fill("28");
    await leads(page, () => page.getByRole("button", { name: "Show" }).click());
    const many = parseFloat((await cells(page)).find(([name]) => name.startsWith("Cola"))[4]);
    ok(many > few, `${many} Cola for a longer time`);
    await page.getByLabel("Probability").fill("2");
    await leads(page, () => page.getByRole("button", { name: "Show" }).click());
    ok((await page.locator(".notice.bad").innerText()).includes("service_level"), "what is wrong is said");
    same(await page.getByLabel("Probability").inputValue(), "2", "and what was typed is kept");
    await page.goto(`${root}/console/reports/reorder`);
    ok(await page.getByRole("button", { name: "Print" }).isVisible(), "a button to print");
    await page.emulateMedia({ media: "print" });
    ok(!(await page.locator(".nav").isVisible()) && !(await page.locator("form.filter").isVisible()), "the print has only the list");
    await picture(page, "order-list");
    const phone = await person("manager", { size: PHONE });
    await phone.page.goto(`${root}/console/reports/reorder`);
    ok((await phone.page.evaluate(() => document.documentElement.scrollWidth)) <= PHONE.width, "it fits a phone");
  },
});
