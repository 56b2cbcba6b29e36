/**
 * A tenant of a real server and headless Chromium, for tests of the console's pages. `visit` is what a person does
 * in a new window; it fails when the page complained on its console. `look` holds every scene of a page to the
 * audit, in both themes and at both sizes; with SCREENSHOTS set to a folder it leaves a picture of each.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import type { HotSwap } from "../../client/src/index.ts";
import { connect } from "../../client/src/node.ts";
import { unknownWords } from "./commands.ts";
import { browserPath, type House, openHouse, sharedHouse } from "./house.ts";

export type { Page };

/** For `describe`. */
export const options = { timeout: 230_000, skip: browserPath ? false : "chromium is not installed" };

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
  /** Of the API and of this tenant's console, its token in the fragment. */
  readonly api: string;
  readonly console: string;
  /** Of the person at the console. */
  readonly token: string;
  readonly hotswap: HotSwap;
  readonly #tenant: string;
  readonly #house: House;
  readonly #browser: Browser;

  /** The tenant is this file's own: what other files do on the same server is not seen in it. */
  static async open(tenant: string): Promise<Stage> {
    const house = sharedHouse() ?? (await openHouse());
    const browser = await chromium.connect(house.browser);
    return new Stage(tenant, house, browser, await makeToken(house, tenant, "owner", "admin"));
  }

  private constructor(tenant: string, house: House, browser: Browser, token: string) {
    this.#tenant = tenant;
    this.#house = house;
    this.#browser = browser;
    this.token = token;
    this.api = house.api;
    this.console = `${house.api}/#token=${token}`;
    this.hotswap = connect({ url: house.api, token });
  }

  async close(): Promise<void> {
    this.hotswap.close();
    await this.#browser.close();
    await this.#house.close?.();
  }

  /** A new window of somebody who has never been here. */
  async visit(use: (page: Page) => Promise<unknown>, options: VisitOptions = {}): Promise<void> {
    const { url = this.console, mayComplain = false, ...rest } = options;
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
    return page.goto(`${this.api}/#${path}`);
  }

  /** A token of somebody else of the tenant than the person at the console. */
  tokenOf(subject: string, role: string): Promise<string> {
    return makeToken(this.#house, this.#tenant, subject, role);
  }

  /** What somebody does who pastes a command into a terminal. */
  async run(command: string): Promise<void> {
    const env = { ...process.env, HOTSWAP_TOKEN: this.token, HOTSWAP_URL: this.api };
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

async function makeToken({ data }: House, tenant: string, subject: string, role: string): Promise<string> {
  const whose = ["--tenant", tenant, "--subject", subject, "--role", role];
  const args = [launcher, "token", "--data", data, ...whose];
  return (await execute(process.execPath, args)).stdout.trim();
}
