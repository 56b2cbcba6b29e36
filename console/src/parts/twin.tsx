/** The command line twins of what the console shows or does: the same by `hotswap` and by curl. */
import { useSignal } from "@preact/signals";
import { apiUrl } from "../session.ts";
import { CopyButton } from "./copy.tsx";

export interface Twin {
  /** Undefined where the command line has no such thing. */
  cli: string | undefined;
  curl: string;
}

/** One word of a POSIX shell, quoted where it must be. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Options of a command, each with its value; what is undefined is left out. */
export function cliOptions(options: readonly [string, string | number | boolean | undefined][]): string {
  return options
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` --${name} ${shellWord(`${value}`)}`)
    .join("");
}

/** The curl command of a request; the token stays in the environment and out of the shell's history. */
export function curl(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): string {
  const parts = ["curl"];
  if (method !== "GET") parts.push("-X", method);
  parts.push(shellWord(apiUrl + path), `-H "authorization: Bearer $HOTSWAP_TOKEN"`);
  for (const [name, value] of Object.entries(headers)) parts.push("-H", shellWord(`${name}: ${value}`));
  if (body !== undefined) {
    parts.push("-H 'content-type: application/json'", "-d", shellWord(JSON.stringify(body)));
  }
  return parts.join(" ");
}

export function TwinPanel({ twin, title = "From a terminal" }: { twin: Twin; title?: string }) {
  const kind = useSignal<keyof Twin>("cli");
  const shown = twin.cli === undefined ? "curl" : kind.value;
  const text = twin[shown] ?? twin.curl;
  return (
    <div class="twin">
      <div class="twin-head">
        <span>{title}</span>
        {twin.cli !== undefined && (
          <fieldset class="segments small" aria-label="Kind of command">
            {(["cli", "curl"] as const).map((name) => (
              <button
                key={name}
                type="button"
                aria-pressed={shown === name}
                onClick={() => {
                  kind.value = name;
                }}
              >
                {name === "cli" ? "hotswap" : "curl"}
              </button>
            ))}
          </fieldset>
        )}
        <CopyButton text={text} label="the command" />
      </div>
      <pre class="command">{text}</pre>
    </div>
  );
}

/** A command by itself, for texts that tell what to type. */
export function Command({ text }: { text: string }) {
  return (
    <div class="command-line">
      <pre class="command">{text}</pre>
      <CopyButton text={text} label="the command" />
    </div>
  );
}
