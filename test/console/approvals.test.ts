/** The inbox of approvals in the console: what waits, exactly what is agreed to, the decision. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NewApproval } from "../../client/src/index.ts";
import { connect } from "../../client/src/node.ts";
import { options, Stage } from "./stage.ts";

const discount: NewApproval = {
  kind: "config.deploy",
  resource: "configs/shop/7",
  content: { discount: 10, until: "2027-01-01", regions: ["eu", "us"] },
  environment: "production",
  summary: "Ten per cent off for the new year",
};

describe("approvals in the console", options, () => {
  let stage: Stage;
  /** Somebody else than the person at the console: nobody approves what they asked for. */
  let author: ReturnType<typeof connect>;
  before(async () => {
    stage = await Stage.open("approvals");
    author = connect({ url: stage.api, token: await stage.tokenOf("ada", "developer") });
  });
  after(async () => {
    author?.close();
    await stage?.close();
  });

  it("lists what waits, shows exactly what it is, and approves it", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/approvals");
      await page.getByText("Nothing waits for a decision").waitFor();
      const { id, contentHash } = await author.approvals.request(discount);
      await page.getByRole("link", { name: "configs/shop/7" }).click();
      await page.getByText("fits what you see").waitFor();
      assert.equal(await page.getByText(contentHash).count(), 1);
      const content = await page.locator(".json").textContent();
      assert.deepEqual(JSON.parse(content!), discount.content);
      await page.getByRole("button", { name: "Approve" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Reason").fill("As agreed on Monday");
      await dialog.getByRole("button", { name: "Approve" }).click();
      await dialog.waitFor({ state: "detached" }); // until then the reason stands in its field
      await page.getByText("As agreed on Monday").waitFor();
      const { state, reason } = await author.approvals.get(id);
      assert.deepEqual([state, reason], ["approved", "As agreed on Monday"]);
    }));

  it("rejects with a reason only", () =>
    stage.visit(async (page) => {
      const { id } = await author.approvals.request({ ...discount, resource: "configs/shop/8" });
      await stage.at(page, `/approvals/${id}`);
      await page.getByRole("button", { name: "Reject" }).click();
      const dialog = page.getByRole("dialog");
      const reject = dialog.getByRole("button", { name: "Reject" });
      assert.ok(await reject.isDisabled());
      await dialog.getByLabel("Reason").fill("Too much");
      await reject.click();
      await page.locator(".state", { hasText: "rejected" }).waitFor();
      await stage.at(page, "/approvals?state=rejected");
      await page.getByRole("row", { name: /configs\/shop\/8/ }).waitFor();
    }));

  it("says that nobody decides on what they asked for", () =>
    stage.visit(
      async (page) => {
        const { id } = await stage.hotswap.approvals.request({ ...discount, resource: "configs/shop/9" });
        await stage.at(page, `/approvals/${id}`);
        await page.getByRole("button", { name: "Approve" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Approve" }).click();
        await page.getByRole("alert").getByRole("link").first().waitFor();
        assert.equal((await stage.hotswap.approvals.get(id)).state, "pending");
      },
      { mayComplain: true },
    ));

  it("is fit to be read", async () => {
    const { id } = await author.approvals.request({ ...discount, resource: "configs/shop/10" });
    await stage.look({
      approvals: async (page) => {
        await stage.at(page, "/approvals?state=all");
        await page.getByRole("row", { name: /configs\/shop\/10/ }).waitFor();
      },
      approval: async (page) => {
        await stage.at(page, `/approvals/${id}`);
        await page.getByText("fits what you see").waitFor();
      },
      "approval-decide": async (page) => {
        await page.getByRole("button", { name: "Approve" }).click();
        await page.getByRole("dialog").waitFor();
      },
      "approvals-none": async (page) => {
        await page.reload();
        await stage.at(page, "/approvals?state=void");
        await page.getByText("There are none").waitFor();
      },
    });
  });
});
