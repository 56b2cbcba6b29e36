/**
 * Writes the pages of docs/reference that are derived from tables in the code: settings, errors, metrics,
 * permissions. Without arguments it writes what has changed; with --check it only says so and exits 1.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { catalogue, type ErrorCode } from "../src/core/catalogue.ts";
import { permissions, roles } from "../src/platform/access/permissions.ts";
import { statusOfKind } from "../src/platform/http/problem.ts";
import {
  entryOf,
  flagOf,
  type SettingName,
  settingNames,
  variableOf,
} from "../src/platform/settings/index.ts";
import { type MetricEntry, metricTable } from "../src/platform/telemetry/index.ts";

export const folder = new URL("../docs/reference/", import.meta.url);

/** File name → content, of every page. */
export function referencePages(): Map<string, string> {
  return new Map([
    ["settings.md", settingsPage()],
    ["errors.md", errorsPage()],
    ["metrics.md", metricsPage()],
    ["permissions.md", permissionsPage()],
  ]);
}

function page(title: string, source: string, body: string[]): string {
  const note = `<!-- Generated from ${source}; change it there and run: npm run generate -->`;
  return `${[`# ${title}`, note, ...body].join("\n\n")}\n`;
}

function table(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n");
}

const code = (text: string) => `\`${text}\``;

// ---- settings

const groupTitles: Record<string, string> = {
  data: "Data",
  http: "HTTP",
  limits: "Rate limit",
  sql: "Database",
  kv: "Cache, counters and locks",
  log: "Message log",
  blob: "Large objects",
  secrets: "Secrets",
  auth: "Identity",
  approvals: "Approvals",
  telemetry: "Logs and traces",
  metrics: "Metrics",
  messaging: "Messaging",
  gateway: "Gateway",
  shutdown: "Stopping",
};

const settingsIntro = `Every setting can be given in four ways. The first that is there counts:

1. a flag, such as \`--port 8080\`;
2. an environment variable, such as \`HOTSWAP_HTTP_PORT=8080\`; an empty one counts as not set;
3. the file \`hotswap.yaml\` in the working folder, or the one that \`--config\` or \`HOTSWAP_CONFIG\`
   names, in YAML or JSON:

   \`\`\`yaml
   http:
     port: 8080
     bodyLimitBytes: 4MiB
   \`\`\`

4. the default.

A name that HotSwap does not know is refused, in all three. Everything that is wrong is reported at once,
with the place that it came from. Numbers of milliseconds, seconds and bytes may carry a suffix: \`90s\`, \`5m\`,
\`64 MiB\`.

A **secret** has no flag, because every user of a machine can read its command lines. Instead of the
variable, the same variable with \`_FILE\` may name a file that holds the value. Secrets and passwords in
URLs are never shown.

\`hotswap start\` (production) needs the settings marked as such; \`hotswap dev\` makes do without them.`;

function settingsPage(): string {
  const groups = Map.groupBy(settingNames, (name) => name.split(".", 1)[0]!);
  const sections = [...groups].map(([group, names]) => {
    const rows = names.map((name) => [code(name), meaningOf(name), defaultOf(name), waysOf(name)]);
    return `## ${groupTitles[group] ?? group}\n\n${table(["Setting", "Meaning", "Default", "Given by"], rows)}`;
  });
  return page("Settings", "src/platform/settings/schema.ts", [settingsIntro, ...sections]);
}

function meaningOf(name: SettingName): string {
  const { meaning, kind, secret, requiredInProduction, requiredWith, atMost } = entryOf(name);
  const notes = [
    `Allowed: ${kind.allowed}.`,
    ...(atMost ? [`Not larger than ${code(atMost)}.`] : []),
    ...(secret ? ["**Secret.**"] : []),
    ...(requiredInProduction ? ["**Needed in production.**"] : []),
    ...(requiredWith ? [`Needed with ${code(requiredWith)}.`] : []),
  ];
  return `${meaning}<br>${notes.join(" ")}`;
}

function defaultOf(name: SettingName): string {
  const { kind, default: preset } = entryOf(name);
  const shown = preset === undefined ? "" : kind.show(preset);
  if (shown === "") return "none";
  const short = kind.unit ? withSuffix(Number(preset), kind.unit) : undefined;
  return short ? `${code(shown)} (${short})` : code(shown);
}

const steps: Record<string, [number, string][]> = {
  milliseconds: [
    [3_600_000, "h"],
    [60_000, "m"],
    [1_000, "s"],
  ],
  seconds: [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"],
  ],
  bytes: [
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"],
  ],
};

function withSuffix(value: number, unit: string): string | undefined {
  const step = steps[unit]?.find(([size]) => value >= size && value % size === 0);
  return step && `${value / step[0]}${step[1]}`;
}

function waysOf(name: SettingName): string {
  const flag = flagOf(name);
  return [code(variableOf(name)), ...(flag ? [code(`--${flag}`)] : [])].join("<br>");
}

// ---- errors

const errorsIntro = `An answer that is not a success is \`application/problem+json\` (RFC 9457). Its \`code\` is one of these
and never changes its meaning; programs should look at it and at nothing else. \`detail\` is for people.
\`errors\` names each wrong place of the request by JSON Pointer. \`requestId\` finds the request in the
server's log.`;

function errorsPage(): string {
  const codes = Object.keys(catalogue) as ErrorCode[];
  const sections = codes.map((name) => {
    const { kind, title, help } = catalogue[name];
    return `## ${name}\n\n**${statusOfKind[kind]}** · ${title}.\n\n${help}`;
  });
  return page("Errors", "src/core/catalogue.ts", [errorsIntro, ...sections]);
}

// ---- metrics

const metricsIntro = `\`GET /metrics\` answers in Prometheus's text format. It needs a token with \`metrics.read\`, or the
setting \`metrics.public\`:

\`\`\`yaml
scrape_configs:
  - job_name: hotswap
    authorization: { credentials_file: /etc/prometheus/hotswap.token }
    static_configs: [{ targets: ["127.0.0.1:7070"] }]
\`\`\`

Labels are few and bounded: a metric has at most \`metrics.seriesMax\` label sets, and what comes after
them is counted under \`_other\`. When a topic is deleted, its series go with it. Names of requests follow
OpenTelemetry's semantic conventions for HTTP.

Beside these there are the metrics that every Node.js dashboard knows, about the process
(\`process_cpu_seconds_total\`, \`process_resident_memory_bytes\`, \`process_open_fds\` …), its event loop
(\`nodejs_eventloop_lag_p99_seconds\` …), its heap (\`nodejs_heap_size_used_bytes\` …) and garbage
collection (\`nodejs_gc_duration_seconds\`).`;

function metricsPage(): string {
  const rows = (Object.entries(metricTable) as [string, MetricEntry][]).map(([name, entry]) => [
    code(name),
    entry.type,
    entry.labels.map(code).join(", ") || "none",
    entry.help,
  ]);
  const list = table(["Metric", "Type", "Labels", "Meaning"], rows);
  return page("Metrics", "src/platform/telemetry/metric-table.ts", [metricsIntro, list]);
}

// ---- permissions

const permissionsIntro = `A token carries roles; a role is a set of permissions, and each endpoint needs exactly one of them (or
none, where it is public). \`admin\` has all of them. \`hotswap routes\` shows which endpoint needs which.`;

function permissionsPage(): string {
  const rows = Object.entries(permissions).map(([permission, holders]) => [
    code(permission),
    ...roles.map((role) => (role === "admin" || (holders as readonly string[]).includes(role) ? "●" : "")),
  ]);
  const list = table(["Permission", ...roles], rows);
  return page("Permissions", "src/platform/access/permissions.ts", [permissionsIntro, list]);
}

// ---- command line

/** Writes the pages that have changed, or with `checkOnly` names them and sets the exit code. */
export async function writeReference(checkOnly: boolean): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of referencePages()) {
    const file = new URL(name, folder);
    if ((await readFile(file, "utf8").catch(() => "")) === content) continue;
    if (checkOnly) {
      console.error(`docs/reference/${name} is not what the code says. Run: npm run generate`);
      process.exitCode = 1;
    } else {
      await writeFile(file, content);
      console.log(`docs/reference/${name}`);
    }
  }
}

if (import.meta.main) await writeReference(process.argv.includes("--check"));
