/**
 * Loads the settings once, at start: flag before environment before file before default. All that is wrong is
 * reported at once, by setting, source and what is allowed; the result is deeply frozen. Values are never
 * changed afterwards; a new value needs a new start.
 */
import type { ErrorCode } from "../../core/catalogue.ts";
import { type FieldError, HotSwapError } from "../../core/errors.ts";
import { maskCredentials } from "./kind.ts";
import { entryOf, flagOf, type SettingName, type Settings, settingNames, variableOf } from "./schema.ts";
import { fromEnvironment, fromFile, fromFlags, type Given, type Source } from "./sources.ts";

export type Mode = "development" | "production";

export interface LoadOptions {
  mode: Mode;
  /** Values by flag, without the dashes. */
  flags?: Readonly<Record<string, string>>;
  /** The file of --config or HOTSWAP_CONFIG; without it `hotswap.yaml` is read when it exists. */
  configFile?: string | undefined;
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** One row of what is in force, fit for a screen: secrets and passwords are masked. */
export interface SettingDescription {
  name: SettingName;
  /** Undefined: not set, and there is no default. */
  value: string | undefined;
  source: Source;
}

export interface LoadedSettings {
  readonly settings: Settings;
  describe(): SettingDescription[];
}

interface Effective {
  value: unknown;
  source: Source;
}

/** Throws `setting_invalid`, or `setting_missing` when that is all that is wrong. */
export async function loadSettings(options: LoadOptions): Promise<LoadedSettings> {
  const { mode, flags = {}, env = process.env, cwd = process.cwd() } = options;
  const problems = new Problems();
  const report = (at: string, message: string) => problems.add("setting_invalid", at, message);
  const layers = [
    fromFlags(flags, report),
    await fromEnvironment(env, report),
    await fromFile(options.configFile ?? (env.HOTSWAP_CONFIG || undefined), cwd, report),
  ];
  const effective = new Map<SettingName, Effective>();
  for (const name of settingNames) {
    const given = layers.find((layer) => layer.has(name))?.get(name);
    effective.set(name, settle(name, given, cwd, problems));
  }
  checkTogether(effective, mode, problems);
  problems.throwIfAny();
  return { settings: nest(effective), describe: () => settingNames.map((name) => row(name, effective)) };
}

function settle(name: SettingName, given: Given | undefined, cwd: string, problems: Problems): Effective {
  const entry = entryOf(name);
  if (!given) {
    // Through `read`, so that a default folder becomes absolute like a given one.
    const value = entry.default === undefined ? undefined : entry.kind.read(entry.default, cwd);
    return { value, source: { from: "default", name: "default" } };
  }
  const value = entry.kind.read(given.raw, cwd);
  if (value === undefined) {
    const shown = entry.secret ? "the value" : maskCredentials(JSON.stringify(given.raw));
    problems.add("setting_invalid", name, `${shown} from ${given.source.name} is not ${entry.kind.allowed}`);
  }
  // In place of what is wrong something that is there, so that no second error follows from the first.
  return { value: value ?? given.raw, source: given.source };
}

/** The rules between settings, all of which are data in the schema. */
function checkTogether(effective: Map<SettingName, Effective>, mode: Mode, problems: Problems): void {
  for (const name of settingNames) {
    const { requiredInProduction, requiredWith, atMost } = entryOf(name);
    const { value } = effective.get(name)!;
    if (value === undefined && requiredInProduction && mode === "production") {
      problems.add("setting_missing", name, `is needed in production; ${howToSet(name)}`);
    } else if (value === undefined && requiredWith && effective.get(requiredWith as SettingName)?.value) {
      problems.add("setting_missing", name, `is needed with ${requiredWith}; ${howToSet(name)}`);
    }
    const bound = atMost && effective.get(atMost as SettingName)?.value;
    if (typeof bound === "number" && typeof value === "number" && value > bound) {
      problems.add(
        "setting_invalid",
        name,
        `is ${value} and may not be larger than ${atMost}, which is ${bound}`,
      );
    }
  }
}

function howToSet(name: SettingName): string {
  const { kind, advice, secret } = entryOf(name);
  const flag = flagOf(name);
  const ways = [
    variableOf(name),
    ...(secret ? [`${variableOf(name)}_FILE`] : []),
    ...(flag ? [`--${flag}`] : []),
  ];
  return `set ${ways.join(" or ")} to ${kind.allowed}${advice ? ` (${advice})` : ""}`;
}

class Problems {
  readonly #fields: FieldError[] = [];
  readonly #codes = new Set<ErrorCode>();

  add(code: "setting_invalid" | "setting_missing", pointer: string, message: string): void {
    this.#codes.add(code);
    this.#fields.push({ pointer, message });
  }

  throwIfAny(): void {
    if (this.#fields.length === 0) return;
    const code = this.#codes.has("setting_invalid") ? "setting_invalid" : "setting_missing";
    const lines = this.#fields.map(({ pointer, message }) => `${pointer}: ${message}`);
    throw new HotSwapError(code, lines.join("\n"), { fields: this.#fields });
  }
}

function nest(effective: Map<SettingName, Effective>): Settings {
  const groups: Record<string, Record<string, unknown>> = {};
  for (const [name, { value }] of effective) {
    const [group, member] = name.split(".") as [string, string];
    groups[group] ??= {};
    groups[group][member] = Array.isArray(value) ? Object.freeze([...value]) : value;
  }
  for (const group of Object.values(groups)) Object.freeze(group);
  return Object.freeze(groups) as Settings;
}

function row(name: SettingName, effective: Map<SettingName, Effective>): SettingDescription {
  const { kind, secret } = entryOf(name);
  const { value, source } = effective.get(name)!;
  if (value === undefined) return { name, value: undefined, source };
  return { name, value: secret ? "***" : kind.show(value), source };
}
