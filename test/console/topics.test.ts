/** Topics in the console: create, publish, look at messages, delete. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openShop } from "./shop.ts";
import { options, Stage } from "./stage.ts";

describe("topics in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("topics");
  });
  after(() => stage?.close());

  it("creates a topic, publishes, looks at the message, and deletes the topic", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/topics");
      await page.getByRole("button", { name: "Create topic" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Name").fill("shop.orders");
      await dialog.getByLabel("Partitions").fill("2");
      await dialog.getByText("hotswap topic create shop.orders --partitions 2").waitFor();
      await dialog.getByRole("button", { name: "Create topic" }).click();
      await page.getByRole("heading", { name: "shop.orders" }).waitFor();

      await page.getByRole("link", { name: "Publish" }).click();
      await page.getByLabel("Payload (JSON)").fill(`{"id": `);
      await page.getByText(/^Not JSON yet/).waitFor();
      assert.ok(await page.getByRole("button", { name: "Publish" }).isDisabled());
      await page.getByLabel("Payload (JSON)").fill(`{"id": 7, "customer": "Ada's"}`);
      await page.getByLabel("Key").fill("c-1");
      await page.getByLabel("Headers").fill("source: shop");
      await page.getByRole("button", { name: "Publish" }).click();
      const receipt = (await page.locator(".receipt").first().textContent())!;
      const [, partition] = /partition (\d+), offset 0 fsync/.exec(receipt)!;

      await page.getByLabel("Headers").fill("");
      for (const kind of ["hotswap", "curl"]) {
        await page.getByRole("button", { name: kind, exact: true }).click();
        await stage.run((await page.locator(".twin .command").textContent())!);
      }
      await page.getByRole("link", { name: "See the messages" }).click();
      await page.locator("#peek-partition").selectOption(partition!);
      await page.locator(".message-row").nth(2).waitFor(); // the terminal's twins of the first
      await stage.run((await page.locator(".twin .command").textContent())!);
      await page.locator(".message-row").nth(2).click();
      const detail = page.locator(".message-detail");
      const json = (await detail.locator(".json").textContent())!;
      assert.deepEqual(JSON.parse(json), { id: 7, customer: "Ada's" });
      assert.match((await detail.textContent())!, /Keyc-1sourceshop/);

      await page.getByRole("button", { name: "Delete" }).click();
      const remove = page.getByRole("dialog").getByRole("button", { name: "Delete topic" });
      assert.ok(await remove.isDisabled());
      await page.getByLabel("Type shop.orders to confirm").fill("shop.orders");
      await remove.click();
      await page.getByText("There are no topics yet").waitFor();
    }));

  it("changes how long and how safely a topic keeps messages", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "kept" });
        await stage.at(page, "/topics/kept/settings");
        const save = page.getByRole("button", { name: "Save" });
        assert.ok(await save.isDisabled());
        await page.getByLabel("Partitions").fill("3");
        await page.getByLabel("Messages expire after").fill("3600");
        await page.getByLabel("Durability").selectOption("os");
        await page.getByLabel("Messages are kept").selectOption("forever");
        await page.getByText("hotswap topic update kept --partitions 3").waitFor();
        await save.click();
        await page.locator(".traits", { hasText: /3 partitions.*os/ }).waitFor();
        const { partitions, durability, messageTtlSeconds } = await stage.hotswap.topics.get("kept");
        assert.deepEqual([partitions, durability, messageTtlSeconds], [3, "os", 3600]);
      })
      .then(() => stage.hotswap.topics.delete("kept")));

  it("lists messages that wait for their time, and takes one back", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "reminders" });
        await stage.at(page, "/topics/reminders/scheduled");
        await page.getByText("Nothing waits for its time").waitFor();
        await stage.run((await page.locator(".empty .command").textContent())!);
        const row = page.getByRole("row", { name: /in 59 min/ });
        await page.getByText("hotswap message scheduled reminders").waitFor();
        await row.getByRole("button", { name: "Cancel…" }).click();
        await page.getByRole("button", { name: "Take it back" }).click();
        await page.getByText("Nothing waits for its time").waitFor();

        await page.getByRole("link", { name: "Publish" }).click();
        await page.getByLabel("For later").fill("tomorrow");
        await page.getByText("“tomorrow” is neither so much later nor a time.").waitFor();
        await page.getByLabel("For later").fill("2h");
        await stage.run((await page.locator(".twin .command").textContent())!);
        await page.getByLabel("For later").fill("2125-12-24T08:00Z");
        await page.getByRole("button", { name: "Publish" }).click();
        await page.locator(".receipt").getByRole("link", { name: "2125-12-24T08:00:00.000Z" }).click();
        await page.getByRole("row", { name: /in 1 h 59 min/ }).waitFor();
      })
      .then(() => stage.hotswap.topics.delete("reminders")));

  it("gives a message an address of its own", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "linked" });
        const { messageId } = await stage.hotswap.messages.publish("linked", {
          payload: { id: 1 },
          key: "k",
        });
        await stage.at(page, `/topics/linked/messages?open=${encodeURIComponent(messageId)}`);
        await page.locator(".message-row", { hasText: "k" }).waitFor();
        await page.locator(".message-detail").getByRole("link", { name: messageId }).click();
        await page.getByRole("heading", { name: "Message", exact: true }).waitFor();
        await page.getByRole("link", { name: "what lies beside it" }).click();
        await page.locator(".message-detail").waitFor();
      })
      .then(() => stage.hotswap.topics.delete("linked")));

  it("shows what the server says against a request: code, place and request id", () =>
    stage.visit(
      async (page) => {
        await stage.at(page, "/topics");
        await page.getByRole("button", { name: "Create topic" }).click();
        await page.getByLabel("Name").fill("no/slash");
        await page.getByRole("dialog").getByRole("button", { name: "Create topic" }).click();
        const alert = page.getByRole("alert");
        await alert.getByRole("link", { name: "validation_failed" }).waitFor();
        assert.match((await alert.textContent())!, /\/name.*request \S+/);
      },
      { mayComplain: true },
    ));

  it("is fit to be read", async () => {
    await openShop(stage.hotswap);
    await stage.look({
      topics: async (page) => {
        await stage.at(page, "/topics");
        await page.getByRole("row", { name: /orders/ }).waitFor();
        await page.waitForResponse(/orders\/stats/);
      },
      "topic-create": async (page) => {
        await page.getByRole("button", { name: "Create topic" }).click();
        await page.getByLabel("Name").fill("orders.created");
        await page.getByText("Routing, retention, schema and more").click();
        await page.getByLabel("Schema").fill("orders");
      },
      "topic-activity": async (page) => {
        await page.reload();
        await stage.at(page, "/topics/orders");
        await page.getByRole("heading", { name: "Partitions" }).waitFor();
        for (let samples = 0; samples < 2; samples++) await page.waitForResponse(/orders\/stats/);
      },
      "topic-messages": async (page) => {
        await stage.at(page, "/topics/orders/messages");
        await page.locator(".message-row").nth(1).click();
        await page.locator(".message-detail").waitFor();
      },
      message: async (page) => {
        await page.locator(".message-detail a").first().click();
        await page.getByRole("heading", { name: "Message", exact: true }).waitFor();
        await page.locator(".json").waitFor();
        await page.getByRole("heading", { name: "Where it stands" }).waitFor();
      },
      "topic-scheduled": async (page) => {
        await stage.at(page, "/topics/orders/scheduled");
        await page.getByText("Nothing waits for its time").waitFor();
      },
      "topic-settings": async (page) => {
        await stage.at(page, "/topics/orders/settings");
        await page.getByLabel("Partitions").waitFor();
      },
      "topic-publish": async (page) => {
        await stage.at(page, "/topics/orders/publish");
        await page.getByRole("button", { name: "Publish" }).click();
        await page.locator(".receipt").first().waitFor();
      },
      "topic-nobody": async (page) => {
        await stage.at(page, "/topics/clickstream");
        await page.getByText("Nobody has subscribed yet").waitFor();
      },
    });
  });
});
