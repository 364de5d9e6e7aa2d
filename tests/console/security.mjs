// Who may come in, and what others can't do to those who are in.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { api, apply, clean, DESK, flow, item, leads, link, ok, onHand, person, root, same, scan, settle, stocked, stockline, TRICKS, until } from "./harness.mjs";

await api("PUT", "/v1/locations/store-2", { name: "Harbour store", time_zone: "Europe/Berlin" });
await item("cola", "Cola", "100");
await apply({ type: "receive", item_id: "cola", location_id: "store-2", quantity: "7" });

const cookies = async (context) => (await context.cookies()).filter((one) => one.name.startsWith("stockline_"));

await flow({
  async "a link works once, and not after its time or with another code"() {
    const address = link("staff", "--subject", "anna");
    const first = await person("staff", { signIn: false });
    // Programs that look at links, such as mail scanners, don't use them up.
    await fetch(address);
    await first.page.goto(address);
    ok((await first.page.locator("main").innerText()).includes("anna (Staff)"), "it says who signs in");
    await first.page.getByRole("button", { name: "Sign in" }).click();
    await first.page.waitForURL(/console$/);
    const second = await person("staff", { signIn: false });
    await second.page.goto(address);
    ok((await second.page.locator(".notice.bad").innerText()).includes("was used already"), "used");
    same((await cookies(second.context)).length, 0, "nobody is signed in");
    await second.page.goto(`${root}/console/sign-in/AAAAAAAAAAAAAAAAAAAAAAAA`);
    await second.page.locator(".notice.bad").waitFor();
    const late = link("staff", "--subject", "anna");
    // A quarter of an hour goes by for all links that wait.
    const file = join(process.env.SHOP_DATA, "keys", "links.json");
    const earlier = (time) => new Date(Date.parse(time) - 15 * 60_000).toISOString();
    writeFileSync(file, JSON.stringify(JSON.parse(readFileSync(file, "utf8")).map((one) => ({ ...one, made_at: earlier(one.made_at), expires_at: earlier(one.expires_at) }))));
    await second.page.goto(late);
    ok((await second.page.locator(".notice.bad").innerText()).includes("older than 15 minutes"), "expired");
    const posted = await fetch(`${root}/console/sign-in`, { method: "POST", redirect: "manual", headers: { origin: root, "content-type": "application/x-www-form-urlencoded" }, body: new URLSearchParams({ code: late.split("/").at(-1) }) });
    same([posted.status, posted.headers.get("set-cookie")], [410, null], "an expired link signs nobody in");
    await second.page.getByLabel("Sign-in link").fill(link("staff"));
    await second.page.getByRole("button", { name: "Sign in" }).click();
    await second.page.waitForURL(/console$/);
  },

  async "the cookie is out of reach of scripts, a new one comes with each sign-in, and a forged one is nobody"() {
    const { page, context } = await person("staff");
    const [cookie] = await cookies(context);
    ok(cookie.httpOnly && cookie.sameSite === "Lax" && cookie.path === "/console", JSON.stringify(cookie));
    same(await page.evaluate(() => document.cookie), "", "scripts see no cookie");
    // Session fixation: a cookie that was there before is not taken over.
    const victim = await person("manager", { signIn: false });
    await victim.context.addCookies([{ ...cookie }]);
    await victim.page.goto(link("manager"));
    await victim.page.getByRole("button", { name: "Sign in" }).click();
    await victim.page.waitForURL(/console$/);
    const [after] = await cookies(victim.context);
    ok(after.value !== cookie.value, "the sign-in made its own session");
    for (const value of [`${cookie.value.slice(0, -2)}AA`, "x", ""]) {
      const answer = await fetch(`${root}/console`, { headers: { cookie: `${cookie.name}=${value}` }, redirect: "manual" });
      same(answer.status, 303, `a forged cookie: ${value.slice(0, 8)}`);
    }
  },

  async "signing out and revoking end the session everywhere"() {
    const { page, context } = await person("staff", { size: DESK });
    const [cookie] = await cookies(context);
    const asked = () => fetch(`${root}/console`, { headers: { cookie: `${cookie.name}=${cookie.value}` }, redirect: "manual" });
    same((await asked()).status, 200, "before");
    await page.locator("details.person summary").click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("h1", { hasText: "You are signed out" }).waitFor();
    same((await cookies(context)).length, 0, "the cookie is gone");
    same((await asked()).status, 303, "a copy of the cookie is no session any more");
  },

  async "another site's page can change nothing, and can't frame ours"() {
    const { context } = await person("manager");
    const [cookie] = await cookies(context);
    const before = await onHand("cola");
    const fields = `at=main&item=cola&quantity=1&act=sell&id=${crypto.randomUUID()}`;
    const send = (headers) =>
      fetch(`${root}/console/slip`, { method: "POST", body: fields, headers: { cookie: `${cookie.name}=${cookie.value}`, "content-type": "application/x-www-form-urlencoded", ...headers } });
    for (const headers of [{}, { origin: "https://evil.example" }, { origin: "null" }, { "sec-fetch-site": "cross-site", origin: root }, { "sec-fetch-site": "same-site" }]) {
      same((await send(headers)).status, 403, JSON.stringify(headers));
    }
    same(await onHand("cola"), before, "nothing was sold");
    same((await send({ origin: root })).status, 200, "our own page");
    await stocked("cola", String(Number(before) - 1), "sold");
    for (const path of ["/console/place", "/console/sign-out", "/console/items/cola", "/console/people", "/console/locations", "/console/refused", "/console/count", "/console/sign-in", "/console/import", "/console/import/x"]) {
      const answer = await fetch(root + path, { method: "POST", body: "act=archive", headers: { cookie: `${cookie.name}=${cookie.value}`, origin: "https://evil.example" } });
      same(answer.status, 403, path);
    }
    const { headers } = await fetch(`${root}/console/sign-in`);
    const policy = headers.get("content-security-policy");
    ok(policy.includes("default-src 'none'") && policy.includes("frame-ancestors 'none'") && !policy.includes("unsafe"), policy);
    same([headers.get("x-frame-options"), headers.get("x-content-type-options"), headers.get("cache-control"), headers.get("referrer-policy")], ["DENY", "nosniff", "no-store", "same-origin"], "headers");
  },

  async "no text of others is markup, on any page"() {
    for (const [n, trick] of TRICKS.entries()) {
      await apply({ type: "register_item", item_id: `trick-${n}`, name: trick, unit: trick.slice(0, 16), category: trick.slice(0, 64), low_stock_threshold: "5" });
      await apply({ type: "receive", item_id: `trick-${n}`, location_id: "main", quantity: "3", note: trick, reference: trick, operator: trick.replaceAll(" ", "").slice(0, 64) });
      await apply({ type: "register_item", item_id: trick, name: `The item of trick ${n}`, low_stock_threshold: "5" });
      const place = trick.slice(0, 32).trim();
      await api("PUT", `/v1/locations/${encodeURIComponent(place)}`, { name: `The place of trick ${n}`, time_zone: "UTC" });
      await apply({ type: "receive", item_id: trick, location_id: place, quantity: "3" });
      const refused = await settle({ type: "sell", item_id: `nothing-${n}`, location_id: "main", quantity: "1", note: trick, reference: trick, operator: trick.replaceAll(" ", "").slice(0, 64) });
      same(refused.status, "rejected", trick);
      await api("PUT", `/v1/locations/trick-${n}`, { name: trick, time_zone: "UTC" });
    }
    const { page, wrong } = await person("manager", { size: DESK });
    const pages = ["", "/today", "/count?blind=no", "/items", "/items/new", "/refused", "/locations", "/people", "/operations", "/import", "/export", "/reports", "/reports/value", "/reports/reorder", "/today/orders", ...TRICKS.map((_, n) => `/items/trick-${n}`), ...TRICKS.map((trick) => `/items/${encodeURIComponent(trick)}`)];
    for (const trick of TRICKS) pages.push(`?code=${encodeURIComponent(trick)}`, `/items?q=${encodeURIComponent(trick)}`, `/count?category=${encodeURIComponent(trick)}`, `/sign-in?next=${encodeURIComponent(trick)}`);
    for (const path of pages) {
      await page.goto(`${root}/console${path}`);
      await clean(page, path);
    }
    await page.goto(`${root}/console`);
    for (const trick of TRICKS) {
      // The answer to the scan before shows nothing of this one.
      await page.evaluate(() => [...document.querySelectorAll("#found, #lines")].forEach((part) => part.replaceChildren()));
      await scan(page, trick);
      await until(page, trick, () => document.querySelector("#found").childElementCount || document.querySelector("#lines").childElementCount);
      await clean(page, `scan ${trick}`);
    }
    same(wrong, [], "errors of the pages");
  },

  async "nobody is led to another site"() {
    for (const next of ["https://evil.example", "//evil.example", "/\\evil.example", "/console.evil.example", "/console/../../x", "javascript:alert(1)"]) {
      const code = link("staff").split("/").at(-1);
      const answer = await fetch(`${root}/console/sign-in`, { method: "POST", redirect: "manual", headers: { origin: root, "content-type": "application/x-www-form-urlencoded" }, body: new URLSearchParams({ code, next }) });
      const to = new URL(answer.headers.get("location"), root);
      same(to.origin, new URL(root).origin, next);
    }
  },

  async "staff who are bound to a location see and change nothing else"() {
    const { page } = await person("staff", { at: ["store-2"] });
    await scan(page, "cola");
    await page.locator("li.line").waitFor();
    ok((await page.locator(".line .here").innerText()).startsWith("7 "), "the stock of their own location");
    ok(!(await page.locator(".line").innerText()).includes("Main"), "nothing of another one");
    same(await page.locator(".nav a").allInnerTexts(), ["Scan", "Items"], "their pages");
    for (const path of ["/people", "/operations"]) same((await page.goto(`${root}/console${path}`)).status(), 403, path);
    const before = await onHand("cola");
    const send = (path, fields) => page.request.post(root + path, { form: fields, headers: { origin: root } });
    const sold = await send("/console/slip", { at: "main", item: "cola", id: crypto.randomUUID(), quantity: "1", act: "sell" });
    same(sold.status(), 403, "a sale elsewhere");
    same(await onHand("cola", "store-2"), "7", "nor is it made at their own location instead");
    same((await send("/console/people", { act: "invite", subject: "me", role: "manager" })).status(), 403, "no invitation");
    ok(!(await (await send("/console/items/cola", { act: "archive", id: crypto.randomUUID() })).text()).includes("Saved"), "no archive");
    same(await onHand("cola"), before, "nothing moved elsewhere");
  },

  async "a session that ends in the middle of a form loses nothing that was typed"() {
    const { page, context } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/items/new`);
    await page.getByLabel("SKU").fill("later");
    await page.getByLabel("Name").fill("Sold later");
    await page.getByLabel("Barcodes").fill("123 456");
    stockline("token", "revoke", "--subject", "manager");
    await page.getByRole("button", { name: "Add the item" }).click();
    await page.locator("h1", { hasText: "Your session has ended" }).waitFor();
    const other = await context.newPage();
    await other.goto(link("manager", "--subject", "boss"));
    await other.getByRole("button", { name: "Sign in" }).click();
    await other.waitForURL(/console$/);
    await page.getByRole("button", { name: "Send it now" }).click();
    await page.locator("h1", { hasText: "Sold later" }).waitFor();
    const slip = await person("staff", { size: DESK });
    await scan(slip.page, "cola");
    await slip.page.getByLabel("Quantity of Cola").fill("9");
    stockline("token", "revoke", "--subject", "staff");
    await slip.page.getByRole("button", { name: "Sell", exact: true }).click();
    await slip.page.locator("#found .notice.bad", { hasText: "Your session has ended" }).waitFor();
    same(await slip.page.getByLabel("Quantity of Cola").inputValue(), "9", "the slip is as it was");
  },

  async "the owner invites a person with a QR code, and takes the way in away again"() {
    const { page } = await person("manager", { size: DESK });
    await page.goto(`${root}/console/people`);
    await page.getByLabel("Their code").fill("Anna Smith");
    await leads(page, () => page.getByRole("button", { name: "Make a sign-in link" }).click());
    await page.locator(".notice.bad").waitFor();
    same(await page.getByLabel("Their code").inputValue(), "Anna Smith", "what was typed is kept");
    await page.getByLabel("Their code").fill("ben");
    await page.getByRole("button", { name: "Make a sign-in link" }).click();
    const address = await page.locator("#link").innerText();
    ok(await page.locator(".qr svg").isVisible(), "the QR code");
    const ben = await person("staff", { signIn: false });
    await ben.page.goto(address);
    await ben.page.getByRole("button", { name: "Sign in" }).click();
    await ben.page.waitForURL(/console$/);
    await page.reload();
    await page.goto(`${root}/console/people`);
    await page.getByRole("button", { name: "Revoke ben" }).click();
    await page.locator(".notice.good").waitFor();
    await ben.page.goto(`${root}/console`);
    ok(ben.page.url().includes("/sign-in"), "Ben is out");
  },
});
