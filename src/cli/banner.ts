/** What a person sees when the server is up: one screen, at most twelve lines. */
import { styleText } from "node:util";

export interface ServerFacts {
  version: string;
  mode: "development" | "production";
  api: string;
  console: string;
  token?: string;
  data: string;
  readyMs: number;
}

export function banner({ version, mode, api, console, token, data, readyMs }: ServerFacts): string {
  const name = styleText("bold", `HotSwap ${version}`);
  const mark =
    mode === "development" ? styleText("yellow", "development: fixed key, loopback only") : "production";
  const rows: [string, string][] = [
    ["Console", console],
    ["API", `${api}/api/v1   reference ${api}/docs   ${api}/openapi.json`],
    ["Metrics", `${api}/metrics`],
    ["Data", `${data}   (delete this folder to start anew)`],
  ];
  if (token) rows.push(["Token", token]);
  const next = token
    ? [
        `export HOTSWAP_URL=${api} HOTSWAP_TOKEN=…`,
        "hotswap topic create orders && echo hello | hotswap pub orders",
      ]
    : ["hotswap token --role operator"];
  const lines = [
    `${name}  ready in ${(readyMs / 1000).toFixed(1)} s  ${mark}`,
    ...rows.map(([label, value]) => `  ${styleText("dim", label.padEnd(8))} ${value}`),
    ...next.map((line, index) => `  ${styleText("dim", (index === 0 ? "Next" : "").padEnd(8))} ${line}`),
  ];
  return `${lines.join("\n")}\n`;
}
