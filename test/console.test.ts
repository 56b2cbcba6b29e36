/**
 * The console in headless Chromium against a real server: what a person does with it, that nothing is logged
 * as an error, and that each page is accessible in light and dark, on a desktop and on a phone. Screenshots go
 * to a folder that the test names; set SCREENSHOTS to choose it.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { connect } from "../client/src/node.ts";
import { startServer, type TestServer } from "../client/src/server.testing.ts";
import { createProgram } from "../src/cli/program.ts";

const browserPath = (process.env.PATH ?? "")
  .split(delimiter)
  .concat("/usr/bin")
  .map((folder) => join(folder, "chromium"))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });

const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"].concat(
  ["background-networking", "component-update", "sync"].map((name) => `--disable-${name}`),
);

const audit = fileURLToPath(new URL("./console.audit.js", import.meta.url));
const launcher = fileURLToPath(new URL("../bin/hotswap.js", import.meta.url));
const desktop = { width: 1360, height: 900 };
const phone = { width: 380, height: 780 };

const skip = browserPath ? false : "chromium is not installed";

describe("console", { timeout: 180_000, skip }, () => {
  let server: TestServer;
  let browser: Browser;
  before(async () => {
    server = await startServer();
    browser = await chromium.launch({ executablePath: browserPath!, args: quiet });
  });
  after(async () => {
    await browser?.close();
    await server?.remove();
  });

  /** A new window of somebody who has never been here; fails at the end when the page complained. */
  async function visit(
    use: (page: Page) => Promise<void>,
    { url = server.console, mayComplain = false, ...options }: VisitOptions = {},
  ): Promise<void> {
    const context = await browser.newContext({ viewport: desktop, ...options });
    await context.addInitScript({ path: audit });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const complaints: string[] = [];
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    try {
      await page.goto(url);
      await use(page);
      if (!mayComplain) assert.deepEqual(complaints, []);
    } finally {
      await context.close();
    }
  }

  /** The number in a tile of the overview. */
  const tile = async (page: Page, label: string) => {
    const text = await page
      .locator(".tile", { has: page.getByText(label, { exact: true }) })
      .locator(".tile-value");
    return Number((await text.textContent())!.replaceAll(",", ""));
  };

  /** What somebody does who pastes a command into a terminal. */
  const run = async (command: string) => {
    const env = { ...process.env, HOTSWAP_TOKEN: server.token, HOTSWAP_URL: server.api };
    const text = command.replace(/^hotswap/, `"${process.execPath}" "${launcher}"`);
    const shell = spawn("sh", ["-c", text], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [code] = await once(shell, "exit");
    assert.equal(code, 0, text);
  };

  it("tells a new owner what to do first", () =>
    visit(async (page) => {
      await page.getByText("Nothing goes through here yet").waitFor();
      await page.getByText("hotswap topic create orders").waitFor();
      await page.getByRole("link", { name: "Topics" }).first().click();
      await page.getByText("There are no topics yet").waitFor();
      assert.equal(await page.locator(".ribbon").textContent(), "development: fixed key, loopback only");
    }));

  it("takes the token out of the address and keeps it for this tab", () =>
    visit(async (page) => {
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      assert.equal(new URL(page.url()).hash, "");
      assert.equal(await page.evaluate("sessionStorage.getItem('hotswap.token')"), server.token);
      await page.reload();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Token").waitFor();
      assert.equal(await page.evaluate("sessionStorage.getItem('hotswap.token')"), null);
    }));

  it("asks for a token, says where one comes from, and what is wrong with a bad one", () =>
    visit(
      async (page) => {
        await page.getByText("hotswap token").waitFor();
        await page.getByLabel("Token").fill("forged");
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("link", { name: "token_invalid" }).waitFor();
        await page.getByText(/^request/).waitFor();
        await page.getByLabel("Token").fill(server.token);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("heading", { name: "Overview" }).waitFor();
      },
      { url: server.api, mayComplain: true }, // browsers log every 401
    ));

  it("creates a topic, publishes, looks at the message, and deletes the topic", () =>
    visit(async (page) => {
      await page.goto(`${server.api}/#/topics`);
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
        await run((await page.locator(".twin .command").textContent())!);
      }
      await page.getByRole("link", { name: "See the messages" }).click();
      await page.locator("#peek-partition").selectOption(partition!);
      await page.locator(".message-row").nth(2).waitFor(); // the terminal's twins of the first
      await run((await page.locator(".twin .command").textContent())!);
      await page.locator(".message-row").nth(2).click();
      const detail = page.locator(".message-detail");
      assert.deepEqual(JSON.parse((await detail.locator(".json").textContent())!), {
        id: 7,
        customer: "Ada's",
      });
      assert.match((await detail.textContent())!, /Keyc-1sourceshop/);

      await page.getByRole("button", { name: "Delete" }).click();
      const remove = page.getByRole("dialog").getByRole("button", { name: "Delete topic" });
      assert.ok(await remove.isDisabled());
      await page.getByLabel("Type shop.orders to confirm").fill("shop.orders");
      await remove.click();
      await page.getByText("There are no topics yet").waitFor();
    }));

  it("shows what the server says against a request: code, place and request id", () =>
    visit(
      async (page) => {
        await page.goto(`${server.api}/#/topics`);
        await page.getByRole("button", { name: "Create topic" }).click();
        await page.getByLabel("Name").fill("no/slash");
        await page.getByRole("dialog").getByRole("button", { name: "Create topic" }).click();
        const alert = page.getByRole("alert");
        await alert.getByRole("link", { name: "validation_failed" }).waitFor();
        assert.match((await alert.textContent())!, /\/name.*request \S+/);
      },
      { mayComplain: true },
    ));

  it("shows numbers that move with the traffic", () =>
    visit(async (page) => {
      const hotswap = connect({ url: server.api, token: server.token });
      await hotswap.topics.create({ name: "traffic", durability: "memory" });
      await page.getByRole("heading", { name: "Messages per second" }).waitFor();
      const backlog = await tile(page, "Backlog");
      await hotswap.messages.publishBatch(
        "traffic",
        Array.from({ length: 250 }, (_, payload) => ({ payload })),
      );
      await page.locator(".tile-value").first().filter({ hasNotText: /^0$/ }).waitFor();
      while ((await tile(page, "Backlog")) !== backlog + 250) await page.waitForResponse(/overview/);
      await page.getByRole("link", { name: "Topics" }).first().click();
      const row = page.getByRole("row", { name: /traffic/ });
      await row.getByText("250", { exact: true }).waitFor();
      hotswap.close();
    }));

  it("says when the server does not answer, and goes on when it does", () =>
    visit(
      async (page) => {
        await page.getByRole("heading", { name: "Overview" }).waitFor();
        await page.context().setOffline(true);
        await page.getByText("The server does not answer.").waitFor();
        assert.equal(await page.locator(".pulse").textContent(), "No answer");
        await page.context().setOffline(false);
        await page.getByText("Healthy").waitFor();
        assert.equal(await page.getByText("The server does not answer.").count(), 0);
      },
      { mayComplain: true },
    ));

  it("asks nothing while it is hidden", () =>
    visit(async (page) => {
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

  it("is accessible on every page, in both themes, at both sizes, and shows commands that exist", async (t) => {
    const folder = process.env.SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), "hotswap-console-")));
    await mkdir(folder, { recursive: true });
    t.diagnostic(`screenshots: ${folder}`);
    const hotswap = connect({ url: server.api, token: server.token });
    await seed(hotswap);
    const found: string[] = [];
    const commands = new Set<string>();
    const look = (size: string, colorScheme: "light" | "dark") =>
      visit(
        async (page) => {
          for (const [name, open] of Object.entries(scenes)) {
            await open(page);
            await page.evaluate("scrollTo(0, 0)");
            const file = `${name}-${size}-${colorScheme}.png`;
            await page.screenshot({ path: join(folder, file), fullPage: true });
            for (const text of await page.locator("pre.command").allTextContents()) commands.add(text);
            const defects = (await page.evaluate("auditPage()")) as string[];
            found.push(...defects.map((defect) => `${file}: ${defect}`));
          }
        },
        { viewport: size === "phone" ? phone : desktop, colorScheme, reducedMotion: "reduce" },
      );
    await Promise.all(["desktop", "phone"].flatMap((size) => [look(size, "light"), look(size, "dark")]));
    hotswap.close();
    assert.deepEqual(found, []);
    assert.ok(commands.size > 5);
    for (const text of commands) assert.deepEqual(unknownWords(text), [], text);
  });

  it("can be used by keyboard alone", () =>
    visit(async (page) => {
      await page.getByRole("heading", { name: "Overview" }).waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate("document.activeElement.textContent"), "Skip to the content");
      await page.keyboard.press("Enter");
      await page.locator("#main:focus").waitFor({ state: "attached" });
      await page.goto(`${server.api}/#/topics`);
      await page.getByRole("button", { name: "Create topic" }).focus();
      await page.keyboard.press("Enter");
      await page.locator("#topic-name:focus").waitFor(); // when the dialog has been drawn
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }));
});

/** The command and options of a line that `hotswap` does not have. */
function unknownWords(text: string): string[] {
  const [name, ...words] = text.split(" ");
  if (name !== "hotswap") return [`${name}`];
  let command = createProgram({ version: "0", description: "" });
  while (command.commands.length > 0) {
    const next = command.commands.find((candidate) => candidate.name() === words[0]);
    if (!next) return words.slice(0, 1);
    command = next;
    words.shift();
  }
  const options = words.filter((word) => word.startsWith("--"));
  return options.filter((option) => !command.options.some(({ long }) => long === option));
}

type VisitOptions = BrowserContextOptions & { url?: string; mayComplain?: boolean };

async function seed(hotswap: ReturnType<typeof connect>): Promise<void> {
  await hotswap.topics.create({
    name: "orders",
    partitions: 4,
    description: "Every order that the shop takes",
  });
  await hotswap.topics.create({ name: "payments.settled", type: "pubsub", partitions: 2 });
  await hotswap.subscriptions.create({ name: "ledger", topic: "payments.settled" });
  await hotswap.topics.create({ name: "clickstream", type: "pubsub", durability: "memory" });
  for (const topic of ["orders", "payments.settled", "clickstream"]) {
    await using publisher = hotswap.messages.publisher(topic);
    for (let id = 0; id < 500; id++) {
      const payload = { id, customer: `c-${id % 97}`, total: id / 7, items: [{ sku: "A-1", quantity: 2 }] };
      void publisher.publish({ payload, key: payload.customer, headers: { source: "shop" } });
    }
  }
  let taken = 0;
  for await (const order of hotswap.messages.consume("orders", { limit: 200 })) {
    if (taken % 2 === 0) void order.ack();
    if (++taken === 200) break;
  }
}

const at = (hash: string) => (page: Page) => page.evaluate(`location.hash = ${JSON.stringify(hash)}`);

/** What is looked at, each ready to be seen. */
const scenes: Record<string, (page: Page) => Promise<unknown>> = {
  overview: async (page) => {
    await at("#/")(page);
    await page.locator(".uplot").first().waitFor();
    for (let samples = 0; samples < 3; samples++) await page.waitForResponse(/overview/);
  },
  topics: async (page) => {
    await at("#/topics")(page);
    await page.getByRole("row", { name: /orders/ }).waitFor();
    await page.waitForResponse(/orders\/stats/);
  },
  create: async (page) => {
    await page.getByRole("button", { name: "Create topic" }).click();
    await page.getByLabel("Name").fill("orders.created");
  },
  activity: async (page) => {
    await at("#/topics/orders")(page);
    await page.getByRole("heading", { name: "Partitions" }).waitFor();
    for (let samples = 0; samples < 2; samples++) await page.waitForResponse(/orders\/stats/);
  },
  messages: async (page) => {
    await at("#/topics/orders/messages")(page);
    await page.locator(".message-row").nth(1).click();
    await page.locator(".message-detail").waitFor();
  },
  publish: async (page) => {
    await at("#/topics/orders/publish")(page);
    await page.getByRole("button", { name: "Publish" }).click();
    await page.locator(".receipt").first().waitFor();
  },
  nobody: async (page) => {
    await at("#/topics/clickstream")(page);
    await page.getByText("Nobody has subscribed yet").waitFor();
  },
};
