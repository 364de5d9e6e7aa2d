// The first run: from the link that the server prints to the first sale, with the keyboard alone.
import { api, DESK, flow, leads, link, ok, person, root, same, stocked, stockline, until } from "./harness.mjs";

/** Moves the focus with the tab key until it is at this element. */
async function tabTo(page, selector) {
  for (let n = 0; n < 80; n++) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the tab key does not lead to ${selector}`);
}

await flow({
  async "the owner signs in, adds an item and sells it, without a mouse"() {
    const { page, wrong } = await person("manager", { size: DESK, signIn: false });
    await page.goto(link("manager", "--subject", "owner"));
    // The browser gives the button its focus some time after the page has loaded.
    await until(page, "the button has the focus", () => document.activeElement.matches("button.primary"));
    await page.keyboard.press("Enter");
    await page.waitForURL(/console$/);
    await tabTo(page, `.nav a[href="/console/today"]`);
    await page.keyboard.press("Enter");
    await page.waitForURL(/today$/);
    await tabTo(page, `a[href="/console/items/new"]`);
    await page.keyboard.press("Enter");
    await page.waitForURL(/new$/);
    await tabTo(page, "#item_id");
    await page.keyboard.type("cola");
    await tabTo(page, "#name");
    await page.keyboard.type("Cola 0.33 l");
    await tabTo(page, "#barcodes");
    await page.keyboard.type("4006381333931");
    await tabTo(page, "#quantity");
    await page.keyboard.type("24");
    await leads(page, () => page.keyboard.press("Enter"));
    await page.locator("h1", { hasText: "Cola" }).waitFor();
    await tabTo(page, `.nav a[href="/console"]`);
    await leads(page, () => page.keyboard.press("Enter"));
    await tabTo(page, "#code");
    await page.keyboard.type("4006381333931");
    await page.keyboard.press("Enter");
    await page.locator("li.line").waitFor();
    await tabTo(page, `button[value="sell"]`);
    await page.keyboard.press("Enter");
    await page.locator(".done .good").waitFor();
    await stocked("cola", "23", "the first sale");
    same(wrong, [], "errors of the pages");
  },

  async "a location is added, and what is wrong is kept"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/locations`);
    await page.locator("summary", { hasText: "New location" }).click();
    await page.getByLabel("Code").fill("store-12");
    await page.locator("#name-new").fill("Harbour store");
    await page.locator("#zone-new").fill("Europe/Atlantis");
    await leads(page, () => page.getByRole("button", { name: "Add the location" }).click());
    await page.locator(".notice.bad").waitFor();
    same(await page.locator("#name-new").inputValue(), "Harbour store", "what was typed is kept");
    await page.locator("#zone-new").fill("Europe/Berlin");
    await page.locator("#emails-new").fill("a@example.com, b@example.com");
    await page.getByRole("button", { name: "Add the location" }).click();
    await page.locator(".notice.good").waitFor();
    const { alert_emails, time_zone } = await api("GET", "/v1/locations/store-12");
    same([alert_emails, time_zone], [["a@example.com", "b@example.com"], "Europe/Berlin"], "saved");
    await page.goto(`${root}/console`);
    await page.locator("details.place summary").click();
    await page.getByRole("button", { name: "Harbour store" }).click();
    await page.locator("details.place summary", { hasText: "Harbour store" }).waitFor();
  },

  async "a till's token that the page shows sells"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/people`);
    await page.getByLabel("The till's name").fill("till-3");
    await page.getByRole("button", { name: "Make a token" }).click();
    const token = await page.locator("#token").innerText();
    const sale = { type: "sell", command_id: crypto.randomUUID(), item_id: "cola", quantity: "1" };
    const answer = await fetch(`${root}/v1/commands`, { method: "POST", body: JSON.stringify(sale), headers: { authorization: `Bearer ${token}`, "content-type": "application/json", prefer: "wait=20" } });
    same((await answer.json()).status, "applied", "a sale of the till");
    ok(stockline("token", "list").includes("till-3"), "the command line lists it too");
  },
});
