// A mail server that can't be reached: Today and Operations tell that alerts wait.
import { api, apply, becomes, DESK, flow, item, person, root, same } from "./harness.mjs";

await flow({
  async "an alert that is not mailed stands on Today, and its mail server on Operations"() {
    await item("tea", "Green tea", "9", { low_stock_threshold: "5" });
    const { page, wrong } = await person("manager", { size: DESK });
    const waiting = page.locator(".figure", { hasText: "mails not sent" });
    await page.goto(`${root}/console/today`);
    same(await waiting.count(), 0, "nothing waits yet");
    await apply({ type: "sell", item_id: "tea", location_id: "main", quantity: "6" });
    await becomes(() => api("GET", "/v1/alerts"), ({ alerts }) => alerts.length === 1, "the alert");
    await page.goto(`${root}/console/today`);
    same((await waiting.innerText()).replace(/\s+/g, " "), "1 mails not sent", "the figure");
    same(await page.locator(".row .bad-text").allInnerTexts(), ["not mailed yet"], "the alert says so");
    await page.goto(`${root}/console/operations`);
    await page.locator(".notice.bad", { hasText: "mail" }).waitFor();
    same(wrong, [], "errors of the pages");
  },
});
