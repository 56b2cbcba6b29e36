/**
 * Configurations in the console from the first word to the last instance, and deployments as one watches and steers
 * them.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { options, type Page, Stage } from "./stage.ts";

const document = "# what a customer may do\nlimits:\n  orders: 5\n";
const schema = {
  type: "object",
  required: ["limits"],
  properties: {
    limits: {
      type: "object",
      description: "What one customer may do.",
      properties: { orders: { type: "integer", minimum: 1, maximum: 100, description: "Orders a day." } },
    },
  },
};

describe("configurations and deployments in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("deployments");
  });
  after(() => stage?.close());

  /** An instance of a service that says it runs what it should. */
  async function join(instanceId: string, service: string, version?: number): Promise<void> {
    const { instances } = stage.hotswap;
    const { configs } = await instances.register({ instanceId, service, environment: "staging" });
    const applied = configs.map(({ config, version: wanted }) => {
      return { config, version: version ?? wanted, status: "applied" as const };
    });
    await instances.heartbeat(instanceId, { applied });
  }

  const pressIn = (page: Page, name: string) =>
    page.getByRole("dialog").getByRole("button", { name }).click();

  it("writes a configuration with the help of its schema, and deploys it", () =>
    stage.visit(async (page) => {
      const { id } = await stage.hotswap.schemas.register({ subject: "limits", schema, submit: true });
      await stage.hotswap.schemas.approve(id).catch(() => {}); // where nobody else must agree it is in force already
      await stage.at(page, "/configs");
      await page.getByText("There are no configurations yet").waitFor();
      await stage.hotswap.configs.create({
        ...{ name: "shop", service: "shop", environment: "staging", format: "yaml" },
        schema: { subject: "limits", version: 1 },
      });
      await page.getByRole("link", { name: "shop" }).click();
      await page.getByRole("link", { name: "Edit", exact: true }).click();
      await page.getByText("Orders a day.").waitFor();
      const text = page.getByLabel("Document (yaml)");
      const publish = page.getByRole("button", { name: "Make it a version" });
      await text.fill("limits:\n  orders: 500\n");
      await page.getByText(/Line 2, column \d+:/).waitFor();
      assert.ok(await publish.isDisabled());
      await text.fill(document);
      await page.getByText("What would change").waitFor();
      await page.getByLabel("Note").fill("The first limits");
      await publish.click();
      await page.getByRole("row", { name: /The first limits/ }).waitFor();
      const made = await stage.hotswap.configs.version("shop", 1);
      assert.equal(made.text, document);

      await page.getByRole("link", { name: "Deploy", exact: true }).click();
      await page.getByLabel("Strategy").selectOption("direct");
      await page.getByRole("button", { name: "Show the steps" }).click();
      await page.getByText("Expose 100 %").waitFor();
      await page.getByRole("button", { name: "Deploy", exact: true }).click();
      await page.locator(".state", { hasText: "succeeded" }).first().waitFor();
      await page.getByText("The new version becomes the only one").waitFor();
      assert.equal((await stage.hotswap.configs.get("shop")).currentVersion, 1);
    }));

  it("pauses, goes on and takes back what is under way", () =>
    stage.visit(async (page) => {
      const { configs, deployments } = stage.hotswap;
      await configs.create({ name: "mail", service: "mail", environment: "staging", format: "json" });
      await configs.put("mail", { text: '{"retries": 1}' });
      for (const number of [1, 2, 3]) await join(`mail-${number}`, "mail");
      const { id } = await deployments.create({
        ...{ kind: "config", config: "mail", version: 1, strategy: "canary" },
        ...{ phases: [50, 100], bakeSeconds: 600, probeSeconds: 600 },
      });
      await stage.at(page, `/deployments/${id}`);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByLabel("Reason").fill("Lunch");
      await pressIn(page, "Pause");
      await page.locator(".state", { hasText: "held" }).first().waitFor();
      await page.getByRole("button", { name: "Resume" }).click();
      await pressIn(page, "Resume");
      await page.locator(".state", { hasText: "running" }).first().waitFor();
      await page.getByRole("button", { name: "Roll back" }).click();
      assert.ok(await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).isDisabled());
      await page.getByLabel("Reason").fill("Customers complain");
      await pressIn(page, "Roll back");
      await page.getByText("Customers complain").first().waitFor();
      await stage.at(page, "/instances");
      await page.getByRole("row", { name: /mail-1/ }).waitFor();
    }));

  it("asks live instances whether they would take a version, and shows what they say", () =>
    stage.visit(async (page) => {
      const { configs, instances } = stage.hotswap;
      for (const id of ["shop-1", "shop-2"]) await join(id, "shop");
      await configs.put("shop", { text: document.replace("5", "7"), note: "More for everybody" });
      await stage.at(page, "/configs/shop");
      const row = page.getByRole("row", { name: /More for everybody/ });
      await row.getByRole("button", { name: "Would it be taken?" }).click();
      await page.getByRole("button", { name: "Ask live instances" }).click();
      await page.getByText("0 of 2 would take it").waitFor();
      const [trial] = (await instances.trials("shop", 2)).items;
      await instances.heartbeat("shop-1", { trials: [{ id: trial!.id, ok: true }] });
      const reason = "orders above 6 do not fit the plan of this customer";
      await instances.heartbeat("shop-2", { trials: [{ id: trial!.id, ok: false, reason }] });
      await page.getByText("1 of 2 would refuse it").waitFor();
      await page.getByText(`would refuse it: ${reason}`).waitFor();
      await configs.saveDraft("shop", document.replace("5", "9"));
      await instances.beginDraftTrial("shop");
    }));

  it("is fit to be read", async () => {
    await stage.look({
      configs: async (page) => {
        await stage.at(page, "/configs");
        await page.getByRole("row", { name: /mail/ }).waitFor();
      },
      "config-versions": async (page) => {
        await stage.at(page, "/configs/shop");
        const row = page.getByRole("row", { name: /More for everybody/ });
        await row.getByRole("button", { name: "What changed" }).click();
        await page.getByText("From version 1 to 2").waitFor();
        await row.getByRole("button", { name: "Would it be taken?" }).click();
        await page.getByText(/1 of 2 would refuse it/).waitFor();
      },
      "config-edit": async (page) => {
        await stage.at(page, "/configs/shop/edit");
        await page.getByText("Orders a day.").waitFor();
        await page.getByText(/0 of 2 would take it/).waitFor();
      },
      "config-deploy": async (page) => {
        await stage.at(page, "/configs/shop/deploy");
        await page.getByRole("button", { name: "Show the steps" }).click();
        await page.getByText("Expose 100 %").waitFor();
      },
      "config-history": async (page) => {
        await stage.at(page, "/configs/shop/history");
        await page.getByRole("rowheader", { name: "Version 1 in force" }).waitFor();
      },
      instances: async (page) => {
        await stage.at(page, "/instances");
        await page.getByRole("row", { name: /mail-1/ }).waitFor();
      },
      deployments: async (page) => {
        await stage.at(page, "/deployments");
        await page.getByRole("row", { name: /shop/ }).waitFor();
      },
      deployment: async (page) => {
        const { items } = await stage.hotswap.deployments.list({ target: "mail" });
        await stage.at(page, `/deployments/${items[0]!.id}`);
        await page.getByText("What happened").waitFor();
      },
    });
  });
});
