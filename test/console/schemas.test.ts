/** The schema registry in the console: what a change breaks, shown before it is made, and its approval. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../client/src/node.ts";
import { options, Stage } from "./stage.ts";

const order = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "integer" }, customer: { type: "string" } },
};
const stricter = { ...order, required: ["id", "customer"] };

describe("schemas in the console", options, () => {
  let stage: Stage;
  let approver: ReturnType<typeof connect>;
  before(async () => {
    stage = await Stage.open("schemas");
    approver = connect({ url: stage.api, token: await stage.tokenOf("ada", "approver") });
  });
  after(async () => {
    approver?.close();
    await stage?.close();
  });

  it("shows by a document what a new version would break; then registers it", () =>
    stage.visit(async (page) => {
      const { schemas } = stage.hotswap;
      const first = await schemas.register({ subject: "orders-value", schema: order, submit: true });
      if (first.state !== "approved") await approver.schemas.approve(first.id);
      await stage.at(page, "/schemas");
      await page.getByRole("link", { name: "orders-value" }).click();
      await page.getByRole("link", { name: "Next version" }).click();
      assert.equal(await page.getByLabel("Subject").inputValue(), "orders-value");
      await page.getByLabel("JSON Schema").fill(JSON.stringify(stricter));
      await page.getByRole("button", { name: "Try" }).click();
      await page.getByText("breaks something").waitFor();
      const document = JSON.parse((await page.locator(".json").first().textContent())!);
      assert.ok(Number.isInteger(document.id) && !("customer" in document), JSON.stringify(document));

      await page.getByRole("button", { name: "Register and submit" }).click();
      await page.getByRole("heading", { name: "orders-value, version 2" }).waitFor();
      await page.locator(".state", { hasText: "in review" }).first().waitFor();
      await page.locator(".changes", { hasText: "/required" }).waitFor();
      await page.getByRole("link", { name: "see the request" }).waitFor();
    }));

  it("does not let the author approve, and takes the approval of somebody else", () =>
    stage.visit(
      async (page) => {
        const { items } = await stage.hotswap.schemas.list({ subject: "orders-value", state: "in_review" });
        await stage.at(page, `/schemas/${items[0]!.id}`);
        await page.getByRole("button", { name: "Approve" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
        await page.getByRole("alert").getByRole("link", { name: "approval_self" }).waitFor();
        await page.keyboard.press("Escape");
        await approver.schemas.approve(items[0]!.id);
        await page.locator(".state", { hasText: "approved" }).first().waitFor();
        await page.getByRole("button", { name: "Deprecate" }).click();
        await page.getByRole("dialog").getByLabel("Reason").fill("Version 3 is there");
        await page.getByRole("dialog").getByRole("button", { name: "Deprecate" }).click();
        await page.locator(".state", { hasText: "deprecated" }).first().waitFor();
      },
      { mayComplain: true },
    ));

  it("is fit to be read", async () => {
    const { items } = await stage.hotswap.schemas.list({ subject: "orders-value" });
    const newest = items.toSorted((a, b) => b.version - a.version)[0]!;
    await stage.look({
      schemas: async (page) => {
        await stage.at(page, "/schemas");
        await page.getByRole("link", { name: "orders-value" }).waitFor();
      },
      schema: async (page) => {
        await stage.at(page, `/schemas/${newest.id}`);
        await page.locator(".changes li").first().waitFor();
      },
      "schema-new": async (page) => {
        await stage.at(page, "/schemas/new?subject=orders-value");
        await page.getByLabel("JSON Schema").fill(JSON.stringify({ ...order, required: ["other"] }, null, 2));
        await page.getByRole("button", { name: "Try" }).click();
        await page.locator(".json").first().waitFor();
      },
      "schema-step": async (page) => {
        await stage.at(page, `/schemas/${newest.id}`);
        await page.getByRole("button", { name: "Retire" }).click();
        await page.getByRole("dialog").waitFor();
      },
    });
  });
});
