/**
 * A real server and headless Chromium, for tests of the console's pages. `visit` is what a person does in a
 * new window; it fails when the page complained on its console. `look` holds every scene of a page to the
 * audit, in both themes and at both sizes; with SCREENSHOTS set to a folder it leaves a picture of each.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { mkdir } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { HotSwap } from "../../client/src/index.ts";
import { connect } from "../../client/src/node.ts";
import { startServer, type TestServer } from "../../client/src/server.testing.ts";
import { unknownWords } from "./commands.ts";

export type { Page };

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

/** For `describe`. */
export const options = { timeout: 180_000, skip: browserPath ? false : "chromium is not installed" };

const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"].concat(
  ["background-networking", "component-update", "sync"].map((name) => `--disable-${name}`),
);
const execute = promisify(execFile);
const audit = fileURLToPath(new URL("./audit.js", import.meta.url));
const launcher = fileURLToPath(new URL("../../bin/hotswap.js", import.meta.url));
const sizes = { desktop: { width: 1360, height: 900 }, phone: { width: 380, height: 780 } };

/** Each makes one thing visible, and resolves when it can be looked at. They follow one another. */
export type Scenes = Record<string, (page: Page) => Promise<unknown>>;

type VisitOptions = BrowserContextOptions & {
  url?: string;
  /** The page is made to meet errors, which browsers log. */
  mayComplain?: boolean;
};

export class Stage {
  readonly server: TestServer;
  readonly hotswap: HotSwap;
  readonly #browser: Browser;

  static async open(): Promise<Stage> {
    const server = await startServer();
    return new Stage(server, await chromium.launch({ executablePath: browserPath!, args: quiet }));
  }

  private constructor(server: TestServer, browser: Browser) {
    this.server = server;
    this.hotswap = connect({ url: server.api, token: server.token });
    this.#browser = browser;
  }

  async close(): Promise<void> {
    this.hotswap.close();
    await this.#browser.close();
    await this.server.remove();
  }

  /** A new window of somebody who has never been here. */
  async visit(use: (page: Page) => Promise<unknown>, options: VisitOptions = {}): Promise<void> {
    const { url = this.server.console, mayComplain = false, ...rest } = options;
    const context = await this.#browser.newContext({ viewport: sizes.desktop, ...rest });
    await context.addInitScript({ path: audit });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
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

  /** Goes to a page by its address, such as `/topics/orders`. */
  at(page: Page, path: string): Promise<unknown> {
    return page.goto(`${this.server.api}/#${path}`);
  }

  /** A token of somebody else than the person at the console. */
  async token(subject: string, role: string): Promise<string> {
    const args = [launcher, "token", "--data", this.server.data, "--subject", subject, "--role", role];
    return (await execute(process.execPath, args)).stdout.trim();
  }

  /** What somebody does who pastes a command into a terminal. */
  async run(command: string): Promise<void> {
    const env = { ...process.env, HOTSWAP_TOKEN: this.server.token, HOTSWAP_URL: this.server.api };
    const text = command.replace(/(?<=^|\| )hotswap(?= )/, `"${process.execPath}" "${launcher}"`);
    const shell = spawn("sh", ["-c", text], { env, stdio: ["ignore", "pipe", "pipe"] });
    const [code] = await once(shell, "exit");
    assert.equal(code, 0, text);
  }

  /** Nothing that the audit finds, and no command that does not exist, in any scene. */
  async look(scenes: Scenes, { mayComplain = false } = {}): Promise<void> {
    const folder = process.env.SCREENSHOTS;
    if (folder) await mkdir(folder, { recursive: true });
    const found: string[] = [];
    const commands = new Set<string>();
    const lookAt = async (page: Page, file: string) => {
      for (const theme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: theme });
        await page.locator(`html[data-theme=${theme}]`).waitFor();
        const defects = (await page.evaluate("auditPage()")) as string[];
        found.push(...defects.map((defect) => `${file}-${theme}: ${defect}`));
        if (!folder) continue;
        await page.evaluate("scrollTo(0, 0)");
        await page.screenshot({ path: join(folder, `${file}-${theme}.png`), fullPage: true });
      }
      for (const text of await page.locator("pre.command").allTextContents()) commands.add(text);
    };
    const lookAs = (size: keyof typeof sizes) =>
      this.visit(
        async (page) => {
          for (const [name, show] of Object.entries(scenes)) {
            await show(page);
            await lookAt(page, `${name}-${size}`);
          }
        },
        { viewport: sizes[size], colorScheme: "light", reducedMotion: "reduce", mayComplain },
      );
    await Promise.all([lookAs("desktop"), lookAs("phone")]);
    assert.deepEqual(found, []);
    for (const text of commands) assert.deepEqual(unknownWords(text), [], text);
  }
}
