/** The workbench of dead letters in the console: why, which, and what becomes of them. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { options, Stage } from "./stage.ts";

describe("dead letters in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("dead-letters");
  });
  after(() => stage?.close());

  /** Publishes messages of which each is rejected for a reason of its own. */
  async function reject(topic: string, reasons: readonly string[]): Promise<void> {
    const { messages } = stage.hotswap;
    await messages.publishBatch(
      topic,
      reasons.map((reason, id) => ({ payload: { id }, headers: { reason }, key: `k${id}` })),
    );
    const taken = await messages.pull(topic, { limit: reasons.length, waitSeconds: 10 });
    await messages.nack(
      taken.map(({ receipt, headers }) => ({ receipt, deadLetter: true, reason: headers.reason })),
    );
  }

  it("groups by reason, narrows, tries, replays, and shows how far it is", () =>
    stage.visit(async (page) => {
      await stage.hotswap.topics.create({ name: "orders" });
      await stage.at(page, "/dead-letters");
      await page.getByText("No message was given up").waitFor();
      await reject("orders", ["no such customer", "no such customer", "out of stock"]);
      await page.getByRole("link", { name: "orders", exact: true }).click();
      const group = page.getByRole("row", { name: /no such customer/ });
      await group.getByText("2", { exact: true }).waitFor();
      await group.getByRole("button", { name: "Only these" }).click();
      await page.getByText("2 messages of this kind").waitFor();
      assert.match(page.url(), /reason=no\+such\+customer/);
      await page.locator(".message-row").first().click();
      await page.locator(".message-detail").getByText("no such customer").first().waitFor();
      await page.locator(".message-row").first().click();

      await page.getByRole("button", { name: "Try" }).click();
      await page.getByText(/^2 messages would go/).waitFor();
      await page.getByLabel("At most, per second").fill("100");
      await page.getByRole("button", { name: "Replay 2 messages" }).click();
      await page.getByRole("row", { name: /replay.*done.*2 of 2/ }).waitFor();
      await page.getByText("0 messages of this kind").waitFor();
      const again = await stage.hotswap.messages.pull("orders", { limit: 10, waitSeconds: 10 });
      assert.deepEqual(
        again.map(({ headers }) => headers.reason),
        ["no such customer", "no such customer"],
      );
      await stage.hotswap.messages.ack(again.map(({ receipt }) => receipt));
    }));

  it("discards the ticked ones, after it said which", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/dead-letters/orders");
      await page.getByRole("checkbox").first().check();
      await page.getByLabel("Do", { exact: true }).selectOption("discard");
      const discard = page.getByRole("button", { name: "Discard 1 message" });
      assert.ok(await discard.isDisabled());
      await page.getByRole("button", { name: "Try" }).click();
      await page.getByText(/^1 message would go/).waitFor();
      await discard.click();
      await page.getByText("All dead letters are dealt with").waitFor();
    }));

  it("is fit to be read", async () => {
    await reject("orders", ["no such customer", "no such customer", "out of stock"]);
    await stage.look({
      "dead-letters": async (page) => {
        await stage.at(page, "/dead-letters");
        await page.getByRole("link", { name: "orders", exact: true }).waitFor();
      },
      "dead-letter-queue": async (page) => {
        await stage.at(page, "/dead-letters/orders");
        await page.locator(".message-row").first().click();
        await page.getByRole("button", { name: "Try" }).click();
        await page.getByText(/would go/).waitFor();
      },
    });
  });
});
