/** The gateway in the console: routes that are tried before they are kept, the whole set. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { RouteSpec } from "../../client/src/index.ts";
import { options, Stage } from "./stage.ts";

// With a host: who has routes for any host has them alone of all tenants.
const route = (name: string, prefix: string): RouteSpec => ({
  name,
  description: `Everything below ${prefix}`,
  match: { host: "console.test", path: { prefix }, methods: ["GET", "POST"] },
  backends: [{ url: "http://127.0.0.1:3001" }, { url: "http://127.0.0.1:3002", weight: 2 }],
});

describe("routes in the console", options, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open("gateway");
  });
  after(() => stage?.close());

  it("tries a route, creates it, changes it with the difference before the eyes, and deletes it", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/routes");
      await page.getByText("There are no routes yet").waitFor();
      await page.getByRole("link", { name: "Create route", exact: true }).click();
      const text = page.getByLabel("Route (JSON)");
      await text.fill(`{"name": `);
      await page.getByText(/^Not JSON yet/).waitFor();
      assert.ok(await page.getByRole("button", { name: "Try" }).isDisabled());
      await text.fill(JSON.stringify(route("shop", "/shop")));
      await text.press("Control+Enter");
      await page.getByText("gets in no other's way").waitFor();
      assert.deepEqual((await stage.hotswap.gateway.routes()).items, []);
      await page.getByRole("button", { name: "Create route" }).click();
      await page.getByRole("heading", { name: "shop" }).waitFor();
      await page.getByRole("row", { name: /127\.0\.0\.1:3002/ }).waitFor();

      await page.getByRole("link", { name: "Edit" }).click();
      const changed = { ...route("shop", "/shop"), strategy: "least-connections" };
      await text.fill(JSON.stringify(changed));
      await page.locator(".changes", { hasText: '/strategy"least-connections"' }).waitFor();
      await page.getByRole("button", { name: "Save" }).click();
      await page.locator(".traits", { hasText: "least-connections" }).waitFor();
      const { items } = await stage.hotswap.gateway.routes();
      assert.equal(items[0]!.strategy, "least-connections");

      await page.getByRole("button", { name: "Delete" }).click();
      await page.getByLabel("Type shop to confirm").fill("shop");
      await page.getByRole("button", { name: "Delete route" }).click();
      await page.getByText("There are no routes yet").waitFor();
    }));

  it("says where a route is wrong", () =>
    stage.visit(
      async (page) => {
        await stage.at(page, "/routes/new");
        const wrong = { ...route("wrong", "/x"), backends: [{ url: "ftp://nowhere" }] };
        await page.getByLabel("Route (JSON)").fill(JSON.stringify(wrong));
        await page.getByRole("button", { name: "Try" }).click();
        const alert = page.getByRole("alert");
        await alert.getByText("/backends/0/url", { exact: true }).waitFor();
        await alert.getByRole("link", { name: "validation_failed" }).waitFor();
      },
      { mayComplain: true },
    ));

  it("applies a whole set after it was tried, and names routes that are never reached", () =>
    stage.visit(async (page) => {
      await stage.hotswap.gateway.createRoute(route("old", "/old"));
      await stage.at(page, "/routes/set");
      const text = page.getByLabel("All routes (JSON)");
      await text.waitFor();
      const hidden = { ...route("hidden", "/a/b"), priority: -1 };
      await text.fill(JSON.stringify({ routes: [route("a", "/a"), hidden] }));
      const apply = page.getByRole("button", { name: "Apply" });
      assert.ok(await apply.isDisabled());
      await page.getByRole("button", { name: "Try" }).click();
      await page.locator("li", { hasText: "removed old" }).waitFor();
      await page.locator("li", { hasText: "unreachable" }).first().waitFor();
      await apply.click();
      await page.getByRole("heading", { name: "Applied" }).waitFor();
      await stage.at(page, "/routes");
      await page.getByText("Routes that get in each other's way").waitFor();
      await page.getByRole("row", { name: /hidden/ }).waitFor();
      const { items } = await stage.hotswap.gateway.routes();
      assert.deepEqual(items.map(({ name }) => name).sort(), ["a", "hidden"]);
    }));

  it("is fit to be read", async () => {
    const { id } = await stage.hotswap.gateway.createRoute(route("orders", "/orders"));
    await stage.look({
      routes: async (page) => {
        await stage.at(page, "/routes");
        await page.getByRole("row", { name: /orders/ }).waitFor();
      },
      "route-new": async (page) => {
        await stage.at(page, "/routes/new");
        await page.getByLabel("Route (JSON)").fill(JSON.stringify(route("again", "/orders"), null, 2));
        await page.getByRole("button", { name: "Try" }).click();
        await page.locator(".findings li").first().waitFor();
      },
      route: async (page) => {
        await stage.at(page, `/routes/${id}`);
        await page.getByRole("row", { name: /127\.0\.0\.1:3002/ }).waitFor();
      },
      "route-edit": async (page) => {
        await stage.at(page, `/routes/${id}/edit`);
        const text = page.getByLabel("Route (JSON)");
        await text.fill((await text.inputValue()).replace("3002", "3003"));
        await page.locator(".changes").waitFor();
      },
      override: async (page) => {
        await stage.at(page, `/routes/${id}`);
        await page.getByRole("button", { name: "Override…" }).first().click();
        await page.getByRole("dialog").waitFor();
      },
      "route-set": async (page) => {
        await page.keyboard.press("Escape");
        await stage.at(page, "/routes/set");
        await page.getByRole("button", { name: "Try" }).click();
        await page.getByText("Nothing changes.").waitFor();
      },
    });
  });
});
