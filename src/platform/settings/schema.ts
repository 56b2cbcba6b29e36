/**
 * Every setting of HotSwap, in one table: what it means, what it allows, its default, and how it is given. The parts of
 * the table are in schema/, a file for each room; the order is that of the reference.
 *
 * The type of the loaded settings, the flags of the command line and docs/reference/settings.md are derived
 * from it. A name is `group.name` with its unit last; `variable` and `flag` are named here only where they
 * are shorter than what the name gives (`http.bodyLimitBytes` → HOTSWAP_HTTP_BODY_LIMIT_BYTES,
 * --http-body-limit-bytes).
 *
 * A secret has no flag: a command line can be read by every user of the machine.
 */
import { accessSettings } from "./schema/access.ts";
import { configurationSettings } from "./schema/configuration.ts";
import { deploymentSettings } from "./schema/deployment.ts";
import { gatewaySettings } from "./schema/gateway.ts";
import { messagingSettings } from "./schema/messaging.ts";
import { nodesSettings } from "./schema/nodes.ts";
import { schemasSettings } from "./schema/schemas.ts";
import { serverSettings, shutdownSettings } from "./schema/server.ts";
import { storesSettings } from "./schema/stores.ts";
import { telemetrySettings } from "./schema/telemetry.ts";
import type { Setting } from "./setting.ts";

export const schema = {
  ...serverSettings,
  ...storesSettings,
  ...accessSettings,
  ...telemetrySettings,
  ...messagingSettings,
  ...gatewaySettings,
  ...deploymentSettings,
  ...schemasSettings,
  ...configurationSettings,
  ...nodesSettings,
  ...shutdownSettings,
};

export type SettingName = keyof typeof schema;
type ValueOf<Name extends SettingName> = (typeof schema)[Name] extends Setting<infer Value> ? Value : never;
type Group = SettingName extends `${infer First}.${string}` ? First : never;

/** The loaded settings: `settings.http.port`. Frozen, and complete but for those without a default. */
export type Settings = {
  readonly [G in Group]: {
    readonly [Name in SettingName as Name extends `${G}.${infer Last}` ? Last : never]: ValueOf<Name>;
  };
};

export const settingNames = Object.keys(schema) as SettingName[];

/** The entry without the type of its value, for code that treats all settings alike. */
export function entryOf(name: SettingName): Setting<unknown> {
  return schema[name] as Setting<unknown>;
}

export function variableOf(name: SettingName): string {
  return entryOf(name).variable ?? `HOTSWAP_${words(name).join("_").toUpperCase()}`;
}

/** Without the leading dashes; undefined for a secret. */
export function flagOf(name: SettingName): string | undefined {
  const { flag, secret } = entryOf(name);
  return secret ? undefined : (flag ?? words(name).join("-"));
}

const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `.${letter.toLowerCase()}`).split(".");
