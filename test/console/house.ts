/**
 * The server and the browser that all tests of the console share: `npm test` opens them before its first file, by
 * `--test-global-setup`, and each file takes a tenant of its own (stage.ts). A file that is run without has a house
 * to itself. A server that ends before its time is told at the end, whatever the tests made of it.
 */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";
import { startServer } from "../../client/src/server.testing.ts";

export interface House {
  api: string;
  /** The server's data folder, for tokens. */
  data: string;
  /** Where Chromium is reached. */
  browser: string;
  /** Absent for who only shares it. */
  close?: () => Promise<void>;
}

const SHARED = "HOTSWAP_TEST_HOUSE";

/** Chromium without windows where there is one, which does a third of the work. */
export const browserPath = ["chromium-headless-shell", "chromium"]
  .flatMap((name) => [...(process.env.PATH ?? "").split(delimiter), "/usr/bin"].map((at) => join(at, name)))
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

export async function openHouse(): Promise<House> {
  const server = await startServer();
  const browser = await chromium
    .launchServer({ executablePath: browserPath!, args: quiet, host: "127.0.0.1" })
    .catch(async (error) => {
      await server.remove();
      throw error;
    });
  const close = async () => {
    await browser.close();
    await server.remove();
  };
  return { api: server.api, data: server.data, browser: browser.wsEndpoint(), close };
}

export function sharedHouse(): House | undefined {
  const shared = process.env[SHARED];
  return shared === undefined ? undefined : JSON.parse(shared);
}

let house: House | undefined;

/** Called by the test runner; the processes of the files inherit the variable. */
export async function globalSetup(): Promise<void> {
  if (!browserPath) return; // its tests are skipped
  house = await openHouse();
  process.env[SHARED] = JSON.stringify(house);
}

/** A failure here would fail the run without a word. */
export async function globalTeardown(): Promise<void> {
  await house?.close?.().catch((error: Error) => {
    console.error(`the server or the browser of the console's tests: ${error.message}`);
    process.exitCode = 1;
  });
}
