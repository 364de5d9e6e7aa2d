// A till that fell silent. Three hours ago till-1 sold; the steps of this flow run between restarts of the server.
import { api, apply, becomes, DESK, flow, ok, person, root, same } from "./harness.mjs";

/** Returns what Today says of silent tills. */
async function silent(page) {
  await page.goto(`${root}/console/today`);
  const shown = await page.locator("h2", { hasText: "Tills that fell silent" }).count();
  const tills = await page.locator("#today .row-what", { hasText: "nothing since" }).allInnerTexts();
  same(shown, tills.length ? 1 : 0, "the heading");
  return tills;
}

const says = /^till-1: nothing since \d+\/\d\d\/\d{4} \d\d:\d\d, though others sell$/;

const steps = {
  async "a till that sent nothing for three hours is on Today once another one sells"() {
    const { page, wrong } = await person("manager", { size: DESK });
    same(await silent(page), [], "nobody sells");
    const sale = () => ({ type: "sell", command_id: crypto.randomUUID(), item_id: "cola", location_id: "main", quantity: "1", device_id: "till-2" });
    for (let n = 0; n < 3; n++) {
      const commands = Array.from({ length: 500 }, sale);
      const send = () => api("POST", "/v1/commands/batch", { commands }, { prefer: "wait=20" });
      await becomes(send, ({ results }) => results.every(({ outcome }) => outcome?.status === "applied"), "the sales of till-2");
    }
    const tills = await silent(page);
    ok(tills.length === 1 && says.test(tills[0]), JSON.stringify(tills));
    const staff = await person("staff");
    same(await silent(staff.page), [], "Staff are not told");
    same(wrong, [], "errors of the page");
  },

  async "it is still there after the server was killed, though another one has sold 1,500 times since"() {
    const { page } = await person("manager", { size: DESK });
    const tills = await silent(page);
    ok(tills.length === 1 && says.test(tills[0]), JSON.stringify(tills));
  },

  async "it leaves Today when it sells again"() {
    const { page } = await person("manager", { size: DESK });
    same((await silent(page)).length, 1, "before");
    await apply({ type: "sell", item_id: "cola", location_id: "main", quantity: "1", device_id: "till-1" });
    same(await silent(page), [], "after");
  },

  async "and it stays away after a restart"() {
    const { page } = await person("manager", { size: DESK });
    same(await silent(page), [], "after a restart");
  },
};

const [name, step] = Object.entries(steps)[Number(process.env.SHOP_STEP)];
await flow({ [name]: step });
