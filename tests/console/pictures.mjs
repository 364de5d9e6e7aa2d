// The pictures of the README, taken from the demo shop: `node pictures.mjs` beside `stockline demo`.
import { DESK, flow, person, PHONE, picture, root, scan } from "./harness.mjs";

await flow({
  async "Staff at the station, on a phone"() {
    const { page } = await person("staff", { size: PHONE });
    await scan(page, "COLA-001");
    await page.locator("li.line").waitFor();
    await scan(page, "COLA-001");
    await scan(page, "LEMO-006");
    await page.locator("li.line").nth(1).waitFor();
    await picture(page, "scan");
  },
  async "the manager's pages"() {
    const { page } = await person("manager", { size: DESK });
    for (const [path, name] of [["/today", "today"], ["/items/COLA-001", "item"], ["/reports/sales?last=91d", "sales"]]) {
      await page.goto(`${root}/console${path}`);
      if (name === "today") await page.locator("#orders .row, #orders .empty").first().waitFor();
      await picture(page, name);
    }
  },
});
