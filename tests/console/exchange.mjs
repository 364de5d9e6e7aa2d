// Import and export: a faulty file is mended and applied, and no file is a way in.
import { api, becomes, DESK, flow, item, leads, ok, onHand, person, picture, root, same, stockline, link, TRICKS, clean } from "./harness.mjs";

await api("PUT", "/v1/locations/store-2", { name: "Harbour store", time_zone: "Europe/Berlin" });
await item("cola", "Cola 0.33 l", "10");

const file = (name, text) => ({ name, mimeType: "text/csv", buffer: Buffer.from(text) });
const choose = (page, ...chosen) => page.getByLabel("File", { exact: true }).setInputFiles(file(...chosen));
/** Checks what is chosen, and waits until the answer is shown: the form is busy from the click until then. */
async function check(page, name = "Check the file") {
  await page.getByRole("button", { name, exact: true }).click();
  await page.locator("#upload:not(.is-busy)").waitFor();
}
const faults = (page) => page.locator("table.faults tbody tr").evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent)));
const applied = (page) => page.locator(".notice.good", { hasText: "It is applied." }).waitFor();

const FAULTY = "Art. no,Title,Stock,Colour\nimp-1,Apple,5,red\nimp-2,,7,blue\nimp-3,Cherry,many,red\n";

await flow({
  async "a faulty file is understood column by column, shows every fault, is mended and applied"() {
    const { page, wrong } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/import`);
    await choose(page, "fruit.csv", FAULTY);
    await check(page);
    ok((await page.locator("#judged .notice.bad").innerText()).includes("item_id"), "it says which column is missing");
    await page.getByLabel("Column Art. no").selectOption({ label: "SKU" });
    await page.getByLabel("Column Title").selectOption({ label: "Name" });
    await page.getByLabel("Column Stock").selectOption({ label: "On hand" });
    await check(page, "Check again");
    ok((await faults(page)).some(([line, column]) => line === "1" && column === "Colour"), "a column that means nothing is a fault");
    same(await page.getByLabel("Column Art. no").inputValue(), "item_id=Art. no", "what was mapped stays");
    await page.getByLabel("Leave out columns").check();
    await check(page, "Check again");
    const marked = await faults(page);
    same(marked.map(([line]) => line), ["3", "4"], "the lines with faults");
    same(marked[1].slice(1, 3), ["Stock", "many"], "column and value");
    ok(marked.every(([, , , what, remedy]) => what && remedy), "what is wrong, and what to do");
    await picture(page, "import-faults");
    same(await onHand("imp-1").catch(() => "unknown"), "unknown", "nothing is changed yet");
    await choose(page, "fruit.csv", FAULTY.replace("imp-2,,", "imp-2,Banana,").replace("many", "9"));
    await check(page);
    same(await faults(page), [], "mended");
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await applied(page);
    same([await onHand("imp-1"), await onHand("imp-2"), await onHand("imp-3")], ["5", "7", "9"], "applied");
    await page.goBack();
    await page.goForward();
    await page.reload();
    same(await onHand("imp-1"), "5", "once");
    same(wrong, [], "errors of the pages");
  },

  async "good lines go in without the faulty ones, which come back as a file that can be corrected"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/import`);
    await choose(page, "more.csv", "SKU,Name,Stock\nmore-1,One,1\nmore-2,Two,two\n");
    await check(page);
    await page.getByRole("button", { name: "Apply without the 1 lines" }).click();
    await applied(page);
    same(await onHand("more-1"), "1", "the good line");
    const result = await (await page.request.get(root + (await page.getByRole("link", { name: "Get the file of faults" }).getAttribute("href")))).text();
    ok(result.includes("more-2,Two,two") && !result.includes("more-1"), result);
    await leads(page, () => page.getByRole("link", { name: "Another file" }).click());
    await choose(page, "result.csv", result.replace("more-2,Two,two", "more-2,Two,2"));
    await check(page);
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await applied(page);
    same(await onHand("more-2"), "2", "the corrected line");
  },

  async "without the script a file is checked and applied by plain forms"() {
    const { page } = await person("manager", { size: DESK, script: false });
    await page.goto(`${root}/console/import`);
    await choose(page, "plain.csv", "SKU,Name,Stock\nplain-1,Plain,3\n");
    await leads(page, () => page.getByRole("button", { name: "Check the file" }).click());
    await leads(page, () => page.getByRole("button", { name: "Apply", exact: true }).click());
    const shown = async () => (await page.reload()) && page.locator(".notice").allInnerTexts();
    await becomes(shown, (notices) => notices.includes("It is applied."), "applied");
    same(await onHand("plain-1"), "3", "applied");
    await page.goto(`${root}/console/import/0b1f6c1e-7a7e-5d0c-9a52-0d9a7a3f1b11`);
    ok((await page.locator(".notice.bad").innerText()).includes("not known any more"), "an unknown import");
  },

  async "a session that ends before a file is checked keeps the file"() {
    const { page, context } = await person("manager", { size: DESK, subject: "carla" });
    await page.goto(`${root}/console/import`);
    await choose(page, "kept.csv", "SKU,Name\nkept-1,Kept\n");
    stockline("token", "revoke", "--subject", "carla");
    await check(page);
    await page.locator("#upload .notice.bad", { hasText: "Your session has ended" }).waitFor();
    const other = await context.newPage();
    await other.goto(link("manager", "--subject", "boss"));
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.waitForURL(/console$/);
    await check(page);
    await page.getByRole("button", { name: "Apply", exact: true }).click();
    await applied(page);
    same((await api("GET", "/v1/items/kept-1")).name, "Kept", "applied");
  },

  async "no file name, heading or cell is markup"() {
    const { page, wrong } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/import`);
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    for (const [n, trick] of TRICKS.entries()) {
      const lines = [`SKU,Name,${quoted(trick)}`, `x-${n},${quoted(trick)},${quoted(trick)}`, `${quoted(trick.repeat(20))},${quoted(trick)},1`, `y-${n},Y,2`];
      await choose(page, `${trick.replaceAll("/", "")}.csv`, `${lines.join("\n")}\n`);
      await check(page);
      await page.locator("#judged h2").first().waitFor();
      await clean(page, `file ${trick}`);
      await page.getByLabel("Leave out columns").check();
      await check(page, "Check again");
      await clean(page, `cells ${trick}`);
      await page.getByRole("button", { name: /^Apply without/ }).click();
      await applied(page);
      await clean(page, `applied ${trick}`);
      await page.goto(`${root}/console/import`);
    }
    const gone = await page.request.post(`${root}/console/import`, { multipart: { type: TRICKS[0], file: file("a.csv", "a,b\n1,2\n") }, headers: { origin: root } });
    ok(!(await gone.text()).includes("<script>window"), "a kind that is none");
    same(wrong, [], "errors of the pages");
  },

  async "lists are exported as CSV and as lines of JSON, and no cell is a formula"() {
    const formulas = [`=HYPERLINK("http://evil.example","x")`, "+1+1", "-2+3", "@SUM(A1)"];
    for (const [n, name] of formulas.entries()) await item(`formula-${n}`, name, "1");
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/export`);
    const get = async (list, button) => {
      const form = page.locator(`form[action$="/export/${list}"]`);
      const [download] = await Promise.all([page.waitForEvent("download"), form.getByRole("button", { name: button }).click()]);
      const chunks = [];
      for await (const chunk of await download.createReadStream()) chunks.push(chunk);
      return [download.suggestedFilename(), Buffer.concat(chunks).toString()];
    };
    const [name, items] = await get("items", "CSV");
    ok(name === "items.csv" && items.startsWith("item_id,name,"), `${name} ${items.slice(0, 80)}`);
    for (const formula of formulas) ok(items.includes(`'${formula.replaceAll('"', '""')}`), `${formula} is marked as text`);
    ok(!/(^|,)"?[=+@]/m.test(items), "no cell begins like a formula");
    const [, lines] = await get("items", "Lines of JSON");
    ok(lines.trim().split("\n").map((line) => JSON.parse(line)).some(({ item_id }) => item_id === "cola"), "each line is an item");
    for (const [list, head] of [["stock", "item_id"], ["movements", "item_id"], ["alerts", ""], ["refused", ""], ["set-aside", ""], ["changes", ""]]) {
      const [, text] = await get(list, "CSV");
      ok(text.includes(head) && text.includes(","), `${list}: ${text.slice(0, 80)}`);
    }
    await page.getByLabel("From").fill("2001-01-01");
    await page.getByLabel("To", { exact: true }).fill("2001-01-31");
    const [, none] = await get("movements", "CSV");
    same(none.trim().split("\n").length, 1, "nothing moved then");
    same((await page.request.get(`${root}/console/export/secrets`)).status(), 404, "no other list");
    const again = await page.request.post(`${root}/console/import`, { multipart: { type: "items", file: file("items.csv", items) }, headers: { origin: root } });
    ok((await again.text()).includes("everything is so already"), "an export is imported as it is");
  },

  async "staff import and export nothing that is not theirs"() {
    const { page } = await person("staff", { at: ["store-2"] });
    const posted = await page.request.post(`${root}/console/import`, { multipart: { type: "items", file: file("a.csv", "SKU,Name\nstaff-1,No\n") }, headers: { origin: root } });
    same(posted.status(), 403, "no import");
    same((await page.request.get(`${root}/console/import-templates/items`)).status(), 403, "no template");
    const stock = await (await page.request.get(`${root}/console/export/stock?form=csv`)).text();
    ok(!stock.includes("main"), "nothing of another location");
    const items = await (await page.request.get(`${root}/console/export/items?form=csv`)).text();
    ok(!items.includes("unit_cost"), "no costs");
    same((await page.request.get(`${root}/console/reports/sales`)).status(), 403, "no reports");
  },
});
