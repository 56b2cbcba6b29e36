/**
 * The embedded issuer of a data folder on this machine, for tokens made beside a server, running or not.
 * Nothing is written: a key is made by the server that will trust it, and never by a command.
 */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { Issuer } from "../platform/auth/issuer.ts"; // the room brings the schemas of its routes along
import { loadSettings, type Mode } from "../platform/settings/index.ts";
import { openSecrets, type SecretStore } from "../stores/secrets/index.ts";
import { readMarker } from "./marker.ts";

export interface LocalIssuerOptions {
  /** Flags of settings; `data` above all. */
  flags?: Record<string, string>;
  configFile?: string | undefined;
  /** Default: that of the server which runs on the folder or ran there last; else the only one with a key. */
  mode?: Mode | undefined;
}

const keyNames: Record<Mode, string> = {
  development: "auth/issuer-development",
  production: "auth/issuer",
};

export async function openLocalIssuer({ flags = {}, configFile, mode: given }: LocalIssuerOptions) {
  // As in development first: where the folder is must be known before what it is for.
  const { settings } = await loadSettings({ mode: "development", flags, configFile });
  const { folder } = settings.data;
  const path = join(folder, "secrets.json");
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) throw noKey(folder, given);
  const mode = given ?? (await readMarker(folder))?.mode;
  if (mode === "production") await loadSettings({ mode, flags, configFile }); // says which setting is missing
  const secrets = openSecrets({ path, masterKey: settings.secrets.masterKey });
  await secrets.start();
  try {
    const chosen = mode ?? (await onlyMode(secrets, folder));
    if ((await secrets.get(keyNames[chosen])) === undefined) throw noKey(folder, chosen);
    const { audience, tokenTtlSeconds } = settings.auth;
    const issuer = await Issuer.open({ secrets, clock: systemClock, mode: chosen, audience });
    return { issuer, mode: chosen, tokenTtlSeconds };
  } finally {
    await secrets.stop();
  }
}

async function onlyMode(secrets: SecretStore, folder: string): Promise<Mode> {
  const names = await secrets.list();
  const modes = (["development", "production"] as const).filter((mode) => names.includes(keyNames[mode]));
  if (modes.length === 2) {
    throw new HotSwapError(
      "setting_missing",
      `The folder ${folder} has been used in both modes. Say which: --mode development or --mode production.`,
    );
  }
  return modes[0] ?? "development";
}

function noKey(folder: string, mode: Mode | undefined): HotSwapError {
  const kind = mode ? `${mode} ` : "";
  const command = mode === "production" ? "start" : "dev";
  return new HotSwapError(
    "setting_missing",
    `There is no key for ${kind}tokens in ${folder}. Run \`hotswap ${command}\` there once, or name another folder with --data.`,
  );
}
