/** What the gateway does, in the console: traffic, breakers set by hand, why a request went as it did. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { options, Stage } from "./stage.ts";

describe("traffic in the console", options, () => {
  let stage: Stage;
  let backend: Server;
  let gateway: string;
  before(async () => {
    backend = createServer((request, response) => {
      response.statusCode = request.url?.startsWith("/shop/broken") ? 500 : 200;
      response.end("done");
    });
    await once(backend.listen(0, "127.0.0.1"), "listening");
    stage = await Stage.open("traffic");
    const { port } = backend.address() as AddressInfo;
    await stage.hotswap.gateway.createRoute({
      name: "shop",
      match: { path: { prefix: "/shop" } },
      backends: [{ url: `http://127.0.0.1:${port}` }],
    });
    gateway = (await stage.hotswap.gateway.status()).url!;
  });
  after(async () => {
    await stage?.close();
    backend?.close();
  });

  const send = async (path: string, times = 1) => {
    let last: Response | undefined;
    for (let count = 0; count < times; count++) {
      last = await fetch(gateway + path);
      await last.text();
    }
    return last!;
  };

  it("shows what goes through a route and its backend", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/traffic");
      await page.getByText(gateway, { exact: true }).waitFor();
      await send("/shop/cart", 30);
      const row = page.getByRole("row", { name: /^shop/ });
      await row
        .getByText(/^[\d.]+\/s$/)
        .filter({ hasNotText: /^0\/s$/ })
        .first()
        .waitFor();
      await row.getByRole("link", { name: "shop" }).click();
      await page.locator(".tile", { hasText: "Requests in all" }).getByText("30", { exact: true }).waitFor();
    }));

  it("opens a breaker by hand, and leaves it to the gateway again", () =>
    stage.visit(async (page) => {
      await stage.at(page, "/traffic");
      await page.getByRole("button", { name: "Override…" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Breaker").selectOption("open");
      await dialog.getByLabel("Reason").fill("looked at by Ada");
      await dialog.getByText(/--breaker open --reason 'looked at by Ada'$/).waitFor();
      await dialog.getByRole("button", { name: "Set" }).click();
      await page.locator(".state", { hasText: "breaker open" }).waitFor();
      assert.equal((await send("/shop/cart")).status, 503);
      await page.getByRole("button", { name: "Override…" }).click();
      await dialog.getByLabel("Breaker").selectOption("automatic");
      await dialog.getByRole("button", { name: "Leave it to the gateway" }).click();
      await page.locator(".state", { hasText: "breaker open" }).waitFor({ state: "detached" });
      assert.equal((await send("/shop/cart")).status, 200);
    }));

  it("finds a request, and says why it went as it did", () =>
    stage.visit(async (page) => {
      const failed = await send("/shop/broken?secret=1");
      const lost = await send("/nowhere");
      assert.deepEqual([failed.status, lost.status], [500, 404]);
      await stage.at(page, "/requests?outcome=failed");
      await page
        .getByRole("link", { name: /\/shop\/broken/ })
        .first()
        .click();
      await page.getByRole("heading", { name: "GET /shop/broken" }).waitFor();
      await page.locator(".attempts li").first().waitFor();
      const considered = page.getByRole("row", { name: /shop.*chosen/ });
      await considered.waitFor();
      await stage.run(`hotswap gateway explain ${failed.headers.get("x-request-id")}`);
      await stage.at(page, `/requests/${lost.headers.get("x-request-id")}`);
      await page.getByText("no route matches").waitFor();
    }));

  it("is fit to be read", async () => {
    const id = (await send("/shop/broken")).headers.get("x-request-id")!;
    await send("/shop/cart", 20);
    await stage.look({
      traffic: async (page) => {
        await stage.at(page, "/traffic");
        await page.getByRole("row", { name: /^shop/ }).waitFor();
        await page.waitForResponse(/gateway\/traffic/);
      },
      requests: async (page) => {
        await stage.at(page, "/requests");
        await page
          .getByRole("link", { name: /\/shop\/broken/ })
          .first()
          .waitFor();
      },
      request: async (page) => {
        await stage.at(page, `/requests/${id}`);
        await page.locator(".attempts li").first().waitFor();
      },
    });
  });
});
