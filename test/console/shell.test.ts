/** What surrounds the pages: signing in, navigation, keys, the connection. And the start page. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openShop } from "./shop.ts";
import { options, type Page, Stage } from "./stage.ts";

describe("console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("shell");
  });
  after(() => stage?.close());

  /** The tile of a number of the overview, once it shows the value. */
  const tile = (page: Page, label: string, value: string | RegExp) =>
    page
      .locator(".tile", { has: page.getByText(label, { exact: true }) })
      .locator(".tile-value", { hasText: value })
      .waitFor();

  it("tells a new owner what to do first", () =>
    stage.visit(async (page) => {
      await page.getByText("Nothing goes through here yet").waitFor();
      await page.getByText("hotswap topic create orders").waitFor();
      assert.equal(await page.locator(".ribbon").textContent(), "development: fixed key, loopback only");
      assert.equal(await page.title(), "Overview · HotSwap");
    }));

  it("takes the token out of the address and keeps it for this tab", () =>
    stage.visit(async (page) => {
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      assert.equal(new URL(page.url()).hash, "");
      assert.equal(await page.evaluate("sessionStorage.getItem('hotswap.token')"), stage.token);
      await page.reload();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Token").waitFor();
      assert.equal(await page.evaluate("sessionStorage.getItem('hotswap.token')"), null);
    }));

  it("asks for a token, says where one comes from, and what is wrong with a bad one", () =>
    stage.visit(
      async (page) => {
        await page.getByText("hotswap token").waitFor();
        await page.getByLabel("Token").fill("forged");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("link", { name: "token_invalid" }).waitFor();
        await page.getByText(/^request/).waitFor();
        await page.getByLabel("Token").fill(stage.token);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("heading", { name: "Overview" }).waitFor();
      },
      { url: stage.api, mayComplain: true }, // browsers log every 401
    ));

  it("shows numbers that move with the traffic", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "traffic", durability: "memory" });
        await page.getByRole("heading", { name: "Messages per second" }).waitFor();
        await tile(page, "Backlog", /^0$/);
        const batch = Array.from({ length: 250 }, (_, payload) => ({ payload }));
        await stage.hotswap.messages.publishBatch("traffic", batch);
        await tile(page, "Backlog", /^250$/);
        await page.getByText("See 1 topic").click();
        await page
          .getByRole("row", { name: /traffic/ })
          .getByText("250", { exact: true })
          .waitFor();
      })
      .then(() => stage.hotswap.topics.delete("traffic")));

  it("says when the server does not answer, and goes on when it does", () =>
    stage.visit(
      async (page) => {
        await page.getByRole("heading", { name: "Overview" }).waitFor();
        await page.context().setOffline(true);
        await page.getByText("The server does not answer.").waitFor();
        assert.equal(await page.locator(".pulse").textContent(), "No answer");
        await page.context().setOffline(false);
        await page.getByText("Healthy").waitFor();
        await page.getByText("The server does not answer.").waitFor({ state: "detached" });
      },
      { mayComplain: true },
    ));

  it("asks nothing while it is hidden", () =>
    stage.visit(async (page) => {
      await page.clock.install();
      await page.reload();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      let asked = 0;
      page.on("request", (request) => {
        if (request.url().endsWith("/overview")) asked += 1;
      });
      const show = (hidden: boolean) =>
        page.evaluate(
          `Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
           document.dispatchEvent(new Event("visibilitychange"))`,
        );
      await show(true);
      for (let seconds = 0; seconds < 10; seconds += 2) {
        await page.clock.runFor(2000);
        await page.evaluate("fetch('/health').then((answer) => answer.text())"); // lets what was asked be answered
      }
      assert.ok(asked <= 1, `${asked} questions, of which one may have been under way`);
      const answered = page.waitForResponse(/overview/);
      await show(false);
      await answered;
    }));

  it("can be used by keyboard alone", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "by.keyboard" });
        await page.getByRole("heading", { name: "Overview" }).waitFor();
        await page.keyboard.press("Tab");
        assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
        await page.keyboard.press("Enter");
        await page.locator("#main:focus").waitFor({ state: "attached" });

        await page.keyboard.press("Control+K");
        const box = page.getByRole("combobox");
        await box.and(page.locator(":focus")).waitFor();
        await box.fill("by.key");
        await page.getByRole("option", { name: "by.keyboard topic" }).waitFor({ state: "attached" });
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: "by.keyboard" }).waitFor();
        assert.equal(await page.title(), "by.keyboard · Topics · HotSwap");

        await page.keyboard.press("Control+K");
        await box.and(page.locator(":focus")).waitFor();
        await page.keyboard.type("topics");
        await page.keyboard.press("Enter");
        await page.getByRole("row", { name: /by.keyboard/ }).waitFor();
        await page.keyboard.press("/");
        await page.keyboard.type("nowhere");
        await page.getByText("No topic fits “nowhere”.").waitFor();
        assert.match(page.url(), /\?q=nowhere$/);
        await page.reload();
        await page.getByText("No topic fits “nowhere”.").waitFor();

        await page.getByRole("button", { name: "Create topic" }).focus();
        await page.keyboard.press("Enter");
        await page.locator("#topic-name:focus").waitFor(); // when the dialog has been drawn
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
      })
      .finally(() => stage.hotswap.topics.delete("by.keyboard")));

  it("opens its menu on a phone, and closes it when a page is chosen", () =>
    stage.visit(
      async (page) => {
        const topics = page.getByRole("link", { name: "Topics", exact: true });
        await topics.waitFor({ state: "hidden" });
        await page.getByRole("button", { name: "Menu" }).click();
        await topics.click();
        await page.getByText("There are no topics yet").waitFor();
        await topics.waitFor({ state: "hidden" });
      },
      { viewport: { width: 380, height: 780 } },
    ));

  it("is fit to be read: overview, menu, go-to, sign-in", async () => {
    await openShop(stage.hotswap);
    await stage.look({
      overview: async (page) => {
        await page.locator(".uplot").first().waitFor();
        await tile(page, "Published", /./);
        await page.waitForResponse(/overview/);
      },
      menu: async (page) => {
        const menu = page.getByRole("button", { name: "Menu" });
        if (await menu.isVisible()) await menu.click();
      },
      jump: async (page) => {
        await page.getByRole("button", { name: "Go to…" }).click();
        await page.getByRole("combobox").fill("led"); // pages alone fill the list
        await page.getByRole("option", { name: "ledger" }).waitFor();
      },
      lost: async (page) => {
        await page.keyboard.press("Escape");
        await stage.at(page, "/nowhere");
        await page.getByRole("heading", { name: "There is no such page" }).waitFor();
      },
      "sign-in": async (page) => {
        await page.reload();
        const menu = page.getByRole("button", { name: "Menu" });
        if (await menu.isVisible()) await menu.click();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByLabel("Token").waitFor();
      },
    });
  });
});
