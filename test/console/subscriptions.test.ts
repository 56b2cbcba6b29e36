/** Subscriptions in the console. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openShop } from "./shop.ts";
import { options, Stage } from "./stage.ts";

describe("subscriptions in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("subscriptions");
  });
  after(() => stage?.close());

  it("creates a subscription, watches its backlog grow, and deletes it", () =>
    stage.visit(async (page) => {
      await stage.hotswap.topics.create({ name: "events", type: "pubsub" });
      await stage.at(page, "/subscriptions");
      await page.getByText("There are no subscriptions yet").waitFor();
      await page.getByRole("button", { name: "Create subscription" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Name").fill("billing");
      await dialog.getByLabel("Topic").fill("events");
      await dialog.getByLabel("Ack deadline").fill("60");
      await dialog.getByText("hotswap subscription create events billing --ack-deadline 60s").waitFor();
      await dialog.getByRole("button", { name: "Create subscription" }).click();
      await page.getByRole("heading", { name: "billing" }).waitFor();
      await page.getByText("ack deadline 1 min").waitFor();

      await stage.hotswap.messages.publishBatch("events", [{ payload: 1 }, { payload: 2 }, { payload: 3 }]);
      await page.locator(".tile", { hasText: "Backlog" }).getByText("3", { exact: true }).waitFor();
      await stage.run("hotswap sub events --subscription billing --count 2");
      await page.locator(".tile", { hasText: "Backlog" }).getByText("1", { exact: true }).waitFor();

      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByLabel("Type billing to confirm").fill("billing");
      await page.getByRole("button", { name: "Delete subscription" }).click();
      await page.getByText("There are no subscriptions yet").waitFor();
    }));

  it("changes what it promises", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "jobs" });
        const [subscription] = (await stage.hotswap.subscriptions.list({ topic: "jobs" })).items;
        await stage.at(page, `/subscriptions/${subscription!.id}/settings`);
        await page.getByText("and is a dead letter then, 1 min 2 s after its first delivery.").waitFor();
        const save = page.getByRole("button", { name: "Save" });
        assert.ok(await save.isDisabled());
        await page.getByLabel("Attempts").fill("3");
        const backoff = page.getByLabel("Back-off, in seconds");
        await backoff.fill("soon");
        await page.getByText(/such as 2, 4, 8;/).waitFor();
        assert.ok(await save.isDisabled());
        await backoff.fill("0.5, 1");
        await page.getByText("again 500 ms later,").waitFor();
        await save.click();
        await page.locator(".traits", { hasText: "3 attempts" }).waitFor();
        const {
          maxAttempts,
          backoff: kept,
          version,
        } = await stage.hotswap.subscriptions.get(subscription!.id);
        assert.deepEqual([maxAttempts, kept, version], [3, { delaysMs: [500, 1000] }, 2]);
      })
      .then(() => stage.hotswap.topics.delete("jobs")));

  it("sets a webhook, shows its secret once, pauses and resumes it", () =>
    stage
      .visit(async (page) => {
        await stage.hotswap.topics.create({ name: "hooked" });
        const [subscription] = (await stage.hotswap.subscriptions.list({ topic: "hooked" })).items;
        const { id } = subscription!;
        await stage.at(page, `/subscriptions/${id}/webhook`);
        await page.getByLabel("Address").fill("https://hooks.example/in");
        await page.getByText("push set hooked default https://hooks.example/in").waitFor();
        await page.getByRole("button", { name: "Set webhook" }).click();
        await page.locator(".secret", { hasText: /^whsec_/ }).waitFor();
        await page.getByRole("button", { name: "Pause…" }).click();
        const dialog = page.getByRole("dialog");
        await dialog.getByText("hotswap subscription push pause hooked default").waitFor();
        await dialog.getByRole("button", { name: "Pause", exact: true }).click();
        await page.getByText(/^paused by /).waitFor();
        await page.getByRole("link", { name: "Delivery" }).click();
        await page.getByText("webhook paused").waitFor();
        await page.getByRole("link", { name: "See the webhook" }).click();
        await page.getByRole("button", { name: "Resume…" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Resume", exact: true }).click();
        await page.locator(".state", { hasText: "active" }).waitFor();
        assert.equal(await page.locator(".secret").count(), 0, "the secret is not shown again");
        assert.equal((await stage.hotswap.pushes.get(id)).status, "active");
      })
      .then(() => stage.hotswap.topics.delete("hooked")));

  it("is fit to be read", async () => {
    await openShop(stage.hotswap);
    const [queue] = (await stage.hotswap.subscriptions.list({ topic: "orders" })).items;
    await stage.hotswap.pushes.set(queue!.id, { url: "https://hooks.example/orders" });
    await stage.hotswap.pushes.pause(queue!.id);
    await stage.look({
      subscriptions: async (page) => {
        await stage.at(page, "/subscriptions");
        await page.getByRole("row", { name: /ledger/ }).waitFor();
        await page.waitForResponse(/orders\/stats/);
      },
      "subscription-create": async (page) => {
        await page.getByRole("button", { name: "Create subscription" }).click();
        await page.getByLabel("Name").fill("billing");
        await page.getByText("Filter, failures and more").click();
      },
      subscription: async (page) => {
        await page.reload();
        await page.getByRole("link", { name: "default" }).click();
        await page.locator(".uplot").first().waitFor();
        await page.waitForResponse(/orders\/stats/);
      },
      "subscription-delivery": async (page) => {
        await page.getByRole("link", { name: "Delivery" }).click();
        await page.getByText("webhook paused").waitFor();
      },
      "subscription-webhook": async (page) => {
        await page.getByRole("link", { name: "Webhook", exact: true }).click();
        await page.getByRole("button", { name: "Change…" }).click();
        await page.getByLabel("Address").waitFor();
      },
      "subscription-settings": async (page) => {
        await page.getByRole("link", { name: "Settings" }).click();
        await page.getByText("A message that always fails").waitFor();
      },
    });
  });
});
