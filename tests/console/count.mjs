// Counting a list: without network in the middle, and with a second person beside.
import { api, apply, becomes, DESK, flow, item, leads, ok, onHand, person, picture, same, scan, stocked, until } from "./harness.mjs";

const name = (n) => `Shelf ${String(n).padStart(2, "0")}`;
for (let n = 0; n < 30; n++) await item(`shelf-${n}`, name(n), "10", { category: n < 5 ? "Front" : "Back", barcodes: [`SX3000${String(n).padStart(2, "0")}`] });

const field = (page, n) => page.getByLabel(`Counted of ${name(n)}`);
const verdict = (page, n) => page.locator(`li.count-row[data-item="shelf-${n}"] .verdict .notice`);
const counts = async (n) => (await api("GET", `/v1/items/shelf-${n}/movements?type=count`)).movements;

await flow({
  async "thirty lines are counted once each, though the network is cut in the middle and a sale is made meanwhile"() {
    const { page, context, wrong } = await person("manager");
    await page.goto(`${page.url()}/count`);
    await picture(page, "count-list");
    same(await page.locator("li.count-row").count(), 30, "lines");
    const enter = async (n) => {
      await field(page, n).fill(String(n));
      await page.keyboard.press("Enter");
    };
    for (let n = 0; n < 12; n++) await enter(n);
    await verdict(page, 11).waitFor();
    await context.setOffline(true);
    for (let n = 12; n < 22; n++) await enter(n);
    await until(page, "ten wait", () => document.querySelector("#outbox").textContent === "10 not sent yet");
    await picture(page, "count-offline");
    await apply({ type: "sell", item_id: "shelf-12", location_id: "main", quantity: "3" });
    await context.setOffline(false);
    for (let n = 22; n < 30; n++) await enter(n);
    await until(page, "all are sent", () => document.querySelector("#outbox").hidden);
    for (let n = 0; n < 30; n++) {
      same((await counts(n)).length, 1, `counts of shelf-${n}`);
      // The sale came after the count was taken, so the count keeps it.
      same(await onHand(`shelf-${n}`), String(n === 12 ? 9 : n), `shelf-${n}`);
    }
    same(wrong, [], "errors of the page");
  },

  async "entries outlive the page, and belong to the person who made them"() {
    const { page, context } = await person("manager");
    await page.goto(`${page.url()}/count?blind=no`);
    await context.route("**/console/count?**", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
    await field(page, 3).fill("4");
    await page.keyboard.press("Enter");
    await until(page, "one waits", () => !document.querySelector("#outbox").hidden);
    await page.reload();
    await until(page, "it still waits", () => !document.querySelector("#outbox").hidden);
    const before = (await counts(3)).length;
    await context.unroute("**/console/count?**");
    await page.reload();
    await until(page, "it is sent", () => document.querySelector("#outbox").hidden);
    same((await counts(3)).length, before + 1, "sent once");
  },

  async "the page opens again without network, with what was typed, and sends it once when the network is back"() {
    const { page, context, wrong } = await person("manager");
    await page.goto(`${page.url()}/count?category=Back`);
    await until(page, "the page is kept", async () => !!(await navigator.serviceWorker.getRegistration())?.active && !!(await caches.match(location.href)));
    const before = (await counts(25)).length;
    await context.setOffline(true);
    await field(page, 25).fill("17");
    await page.keyboard.press("Enter");
    await until(page, "one waits", () => !document.querySelector("#outbox").hidden);
    await page.reload();
    same(await field(page, 25).inputValue(), "17", "what was typed is there");
    await field(page, 26).fill("18");
    await page.keyboard.press("Enter");
    await until(page, "two wait", () => document.querySelector("#outbox").textContent === "2 not sent yet");
    await context.setOffline(false);
    await until(page, "all are sent", () => document.querySelector("#outbox").hidden);
    same([(await counts(25)).length, await onHand("shelf-25"), await onHand("shelf-26")], [before + 1, "17", "18"], "once each");
    await page.locator("details.person summary").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("h1", { hasText: "You are signed out" }).waitFor();
    await until(page, "no page is left behind", async () => !(await caches.keys()).length);
    same(wrong, [], "errors of the page");
  },

  async "two people on one list see each other's counts"() {
    const [anna, ben] = [await person("manager"), await person("manager")];
    for (const { page } of [anna, ben]) await page.goto(`${page.url()}/count?category=Front`);
    await field(anna.page, 1).fill("7");
    await anna.page.keyboard.press("Enter");
    await verdict(anna.page, 1).waitFor();
    await field(ben.page, 1).fill("8");
    await ben.page.keyboard.press("Enter");
    await verdict(ben.page, 1).waitFor();
    const said = await verdict(ben.page, 1).innerText();
    ok(said.includes("counted 7") && said.includes("You counted 8"), said);
    same(await onHand("shelf-1"), "7", "nothing is overwritten unseen");
    await picture(ben.page, "count-conflict");
    await ben.page.getByRole("button", { name: "Mine counts" }).click();
    await until(ben.page, "it counts", () => document.querySelector('li[data-item="shelf-1"] .verdict .good'));
    same(await onHand("shelf-1"), "8", "the decision counts");
  },

  async "the list is printed with its place, its lines and room to write, and nothing else"() {
    const { page } = await person("manager", { size: DESK, dark: true });
    await page.goto(`${page.url()}/count?category=Back`);
    await page.evaluate(() => void (globalThis.print = () => (globalThis.printed = true)));
    await page.getByRole("button", { name: "Print" }).click();
    ok(await page.evaluate(() => globalThis.printed), "the button prints");
    ok(!(await page.locator(".on-paper").isVisible()), "what only the paper needs is not on the screen");
    await page.emulateMedia({ media: "print" });
    const [title, of, ...lines] = (await page.evaluate(() => document.body.innerText)).split("\n").filter((line) => line.trim());
    same(title, "Count", "the title");
    ok(/^Main · Back · \d+\/\d\d\/\d{4} \d\d:\d\d$/.test(of), `of what, and when: ${of}`);
    const expected = Array.from({ length: 25 }, (_, n) => [name(n + 5), `shelf-${n + 5} · Last counted`, "piece"]).flat();
    same(lines.map((line) => line.replace(/: .*/, "")).sort(), expected.sort(), "the lines, and nothing else");
    const rooms = await page.locator("input.counted").evaluateAll((all) => all.map((one) => [one.offsetWidth >= 96, one.offsetHeight >= 30, getComputedStyle(one).borderBottomWidth]));
    same(rooms, Array(25).fill([true, true, "1px"]), "room to write");
    const colours = await page.evaluate(() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector(".count-row strong")).color, getComputedStyle(document.querySelector(".count-row")).breakInside]);
    same(colours, ["rgb(255, 255, 255)", "rgb(0, 0, 0)", "avoid"], "black on white also for who has it dark, and no line is torn");
    await picture(page, "count-paper");
    const pdf = (await page.pdf({ format: "A4" })).toString("latin1");
    const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length;
    ok(pdf.startsWith("%PDF") && pages <= 2, `25 lines are on ${pages} pages`);
  },

  async "a scan leads to the line, and without the script the list is a form"() {
    const { page } = await person("manager");
    await page.goto(`${page.url()}/count`);
    await scan(page, "SX300017");
    await until(page, "the line", () => document.activeElement?.closest("li")?.dataset.item === "shelf-17");
    const plain = await person("manager", { script: false });
    await plain.page.goto(`${plain.page.url()}/count`);
    const [a, b] = [(await counts(20)).length, (await counts(21)).length];
    await field(plain.page, 20).fill("31");
    await field(plain.page, 21).fill("32");
    await leads(plain.page, () => plain.page.getByRole("button", { name: "Save what is typed" }).click());
    await verdict(plain.page, 20).waitFor();
    await leads(plain.page, () => plain.page.reload());
    same([(await counts(20)).length, (await counts(21)).length], [a + 1, b + 1], "once, also after a reload");
    await stocked("shelf-20", "31", "counted");
    await stocked("shelf-21", "32", "counted");
  },

  async "a shop with more items than a list is made of is counted part by part, and each category as a whole"() {
    const three = (n) => String(n).padStart(3, "0");
    const all = Array.from({ length: 500 }, (_, n) => ({ item_id: `wall-${n}`, name: `Wall ${three(n)}`, category: n < 498 ? "Wall" : "Far" }));
    for (const [type, of] of [["register_item", (it) => it], ["receive", ({ item_id }) => ({ item_id, location_id: "main", quantity: "5" })]]) {
      const commands = all.map((it) => ({ type, command_id: crypto.randomUUID(), ...of(it) }));
      const send = () => api("POST", "/v1/commands/batch", { commands }, { prefer: "wait=20" });
      const { results } = await becomes(send, ({ results }) => results.every(({ outcome }) => outcome), type);
      same(results.filter(({ outcome }) => outcome.status === "applied").length, 500, type);
    }
    const { page } = await person("manager");
    const lines = (prefix) => page.locator(prefix ? `li.count-row[data-item^="${prefix}"]` : "li.count-row").count();
    await page.goto(`${page.url()}/count`);
    same([await lines(""), await lines("shelf-")], [100, 0], "the lines of a list: what was never counted comes first");
    const next = page.getByRole("link", { name: "Next part of the shop" });
    await next.click();
    await page.waitForURL(/cursor=./);
    same([await lines("wall-"), await lines("shelf-"), await next.count()], [30, 0, 0], "the last thirty by name");
    await page.locator('li.count-row[data-item="wall-499"] input.counted').fill("4");
    await page.keyboard.press("Enter");
    await page.locator('li.count-row[data-item="wall-499"] .verdict .notice').waitFor();
    same(await onHand("wall-499"), "4", "counted");
    await page.goto(`${page.url().split("?")[0]}?category=Far`);
    same([await lines("wall-"), await page.locator("#category option").count()], [2, 5], "the category, and all to choose from");
  },
});
