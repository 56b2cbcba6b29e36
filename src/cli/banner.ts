/** What a person sees when the server is up: one screen, at most twelve lines. */
import { resolve } from "node:path";
import { styleText } from "node:util";

export interface ServerFacts {
  version: string;
  mode: "development" | "production";
  api: string;
  console: string;
  gateway?: string;
  token?: string;
  data: string;
  readyMs: number;
}

export function banner({ version, mode, api, console, gateway, token, data, readyMs }: ServerFacts): string {
  const name = styleText("bold", `HotSwap ${version}`);
  const mark =
    mode === "development" ? styleText("yellow", "development: fixed key, loopback only") : "production";
  const command = (words: string) => `${launcher()} ${words}${dataFlag(data)}`;
  const rows: [string, string][] = [
    ["Console", console], // in development with an admin token, which signs in
    ["API", `${api}/api/v1   reference ${api}/docs   ${api}/openapi.json`],
    ...(gateway ? ([["Gateway", gateway]] as [string, string][]) : []),
    ["Metrics", `${api}/metrics`],
    ["Data", token ? `${data}   (delete this folder to start anew)` : data],
    ...(token
      ? ([
          ["Token", `eval "$(${command("status -o env")})"   gives a shell the address and an admin token`],
          ["Next", command("topic create orders")],
          ["", `echo hello | ${command("pub orders")}`],
        ] as [string, string][])
      : ([["Next", command("token --role operator")]] as [string, string][])),
  ];
  const lines = [
    `${name}  ready in ${(readyMs / 1000).toFixed(1)} s  ${mark}`,
    ...rows.map(([label, value]) => `  ${styleText("dim", label.padEnd(8))} ${value}`),
  ];
  return `${lines.join("\n")}\n`;
}

/** As the reader can type it: started by npm, the command is not on the PATH. */
const launcher = () => (process.env.npm_execpath ? "npx hotswap" : "hotswap");

const dataFlag = (data: string) => (data === resolve(".hotswap") ? "" : ` --data ${data}`);
