/** The broker's nodes in the console. */
import { after, before, describe, it } from "node:test";
import { options, Stage } from "./stage.ts";

describe("nodes in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("nodes");
  });
  after(() => stage?.close());

  it("shows the node that answers, well, with what it serves", () =>
    stage.visit(async (page) => {
      await stage.hotswap.topics.create({ name: "orders" });
      await stage.at(page, "/nodes");
      await page.getByText("1 node that runs").waitFor();
      const row = page.getByRole("row", { name: /the one that answers/ });
      await row.getByText("started").waitFor();
      await row.getByText("well", { exact: true }).waitFor();
    }));

  it("is fit to be read", () =>
    stage.look({
      nodes: async (page) => {
        await stage.at(page, "/nodes");
        await page.getByRole("row", { name: /the one that answers/ }).waitFor();
      },
    }));
});
