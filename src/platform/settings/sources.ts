/**
 * Where values come from: flags, HOTSWAP_* variables and one file. Each source gives raw values by setting
 * name and reports the names that it does not know; nothing is judged here but names.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { nearest } from "./nearest.ts";
import { entryOf, flagOf, type SettingName, settingNames, variableOf } from "./schema.ts";

export interface Source {
  from: "flag" | "environment" | "file" | "default";
  /** What a person looks for: `--port`, `HOTSWAP_HTTP_PORT`, `hotswap.yaml`. */
  name: string;
}

export interface Given {
  raw: unknown;
  source: Source;
}

export type Layer = Map<SettingName, Given>;

/** `at` is the setting, or the name that no setting has. */
export type Report = (at: string, message: string) => void;

export const defaultFile = "hotswap.yaml";

// Not settings of the server, but of the launcher, the client's commands and the tests. The last is what
// Kubernetes puts into each container for a service whose name begins with `hotswap`.
const foreign =
  /^HOTSWAP_(CONFIG|TETHER|API|URL|TOKEN|GATEWAY|TEST_.+|(\w+_)?SERVICE_(HOST|PORT\w*)|(\w+_)?PORT(_\d+_(TCP|UDP)(_\w+)?)?)$/;

export function fromFlags(flags: Readonly<Record<string, string>>, report: Report): Layer {
  const names = new Map(settingNames.map((name) => [flagOf(name), name]));
  const layer: Layer = new Map();
  for (const [flag, raw] of Object.entries(flags)) {
    const name = names.get(flag);
    const known = [...names.keys()].filter((candidate) => candidate !== undefined);
    if (name) layer.set(name, { raw, source: { from: "flag", name: `--${flag}` } });
    else report(`--${flag}`, `is not a flag${suggestion(flag, known, "--")}`);
  }
  return layer;
}

/** An empty variable counts as not set, as templates leave many behind. */
export async function fromEnvironment(env: NodeJS.ProcessEnv, report: Report): Promise<Layer> {
  const names = new Map<string, SettingName>(settingNames.map((name) => [variableOf(name), name]));
  const layer: Layer = new Map();
  for (const [variable, raw] of Object.entries(env)) {
    if (!variable.startsWith("HOTSWAP_") || !raw) continue;
    const name = names.get(variable);
    const fileOf = names.get(variable.replace(/_FILE$/, ""));
    const source: Source = { from: "environment", name: variable };
    if (name) layer.set(name, { raw, source });
    else if (fileOf && entryOf(fileOf).secret) {
      const content = await readFile(raw, "utf8").catch(() => undefined);
      if (content === undefined) report(fileOf, `${variable} names a file that cannot be read`);
      else if (env[variableOf(fileOf)])
        report(fileOf, `is given twice: ${variableOf(fileOf)} and ${variable}`);
      else layer.set(fileOf, { raw: content.trim(), source });
    } else if (!foreign.test(variable)) {
      report(variable, `is not a variable of HotSwap${suggestion(variable, [...names.keys()])}`);
    }
  }
  return layer;
}

/** The named file, which must exist, or `hotswap.yaml` in the working folder, which may. */
export async function fromFile(path: string | undefined, cwd: string, report: Report): Promise<Layer> {
  const file = path ?? defaultFile;
  const content = await readFile(resolve(cwd, file), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (path !== undefined || error.code !== "ENOENT") report(file, "cannot be read");
    return undefined;
  });
  const layer: Layer = new Map();
  if (content === undefined) return layer;
  const document = await parse(content, file, report);
  if (document === undefined || document === null) return layer;
  if (!isMapping(document)) {
    report(file, "must hold settings by group, such as `http: { port: 7070 }`");
    return layer;
  }
  const groups = [...new Set(settingNames.map((name) => name.split(".", 1)[0]!))];
  for (const [group, members] of Object.entries(document)) {
    if (!groups.includes(group))
      report(group, `in ${file} is not a group of settings${suggestion(group, groups)}`);
    else if (!isMapping(members))
      report(group, `in ${file} must hold settings, such as \`http: { port: 7070 }\``);
    else readGroup(group, members, file, layer, report);
  }
  return layer;
}

function readGroup(group: string, members: object, file: string, layer: Layer, report: Report): void {
  for (const [member, raw] of Object.entries(members)) {
    const name = settingNames.find((candidate) => candidate === `${group}.${member}`);
    const unknown = `${group}.${member}`;
    if (!name) report(unknown, `in ${file} is not a setting${suggestion(unknown, settingNames)}`);
    else if (raw === null) report(name, `in ${file} has no value; give it one or remove the line`);
    else layer.set(name, { raw, source: { from: "file", name: file } });
  }
}

/**
 * YAML 1.2, of which JSON is a part. Messages name the place and never quote the file: it may hold secrets.
 */
async function parse(content: string, file: string, report: Report): Promise<unknown> {
  const { LineCounter, parseDocument } = await import("yaml");
  const lineCounter = new LineCounter();
  const document = parseDocument(content, { prettyErrors: false, lineCounter });
  for (const error of document.errors) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    report(file, `line ${line}, column ${col}: ${error.code.toLowerCase().replaceAll("_", " ")}`);
  }
  if (document.errors.length > 0) return undefined;
  try {
    return document.toJS();
  } catch {
    report(file, "has an alias that leads nowhere or too far");
    return undefined;
  }
}

function isMapping(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function suggestion(name: string, candidates: readonly string[], prefix = ""): string {
  const candidate = nearest(name, candidates);
  return candidate
    ? `; did you mean ${prefix}${candidate}?`
    : "; docs/reference/settings.md lists all of them";
}
