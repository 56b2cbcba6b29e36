/** `hotswap token`: a token of the embedded issuer, made on the machine where the data folder is. */
import { userInfo } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { systemClock } from "../core/clock.ts";
import { type Role, roles } from "../platform/access/permissions.ts";
import type { Mode } from "../platform/settings/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { collectPair, read } from "./option-values.ts";
import { printJson } from "./print.ts";

interface Flags {
  role: Role[];
  ttl?: number;
  tenant: string;
  subject?: string;
  attribute?: Record<string, string>;
  mode?: Mode;
  data?: string;
  config?: string;
  json?: boolean;
}

export function addToken(program: Command): void {
  program
    .command("token")
    .description(
      "make a token with the key in the data folder, whether a server runs there or not.\n" +
        "Nobody can take it back before it expires, so make it short and give it few roles.",
    )
    .requiredOption("--role <role>", `one of ${roles.join(", ")}; may be repeated`, collectRole)
    .option(
      "--ttl <time>",
      "how long it is valid, such as 1h (default: auth.tokenTtlSeconds)",
      read(integer(1, 31_622_400, "seconds")),
    )
    .option("--tenant <name>", "whose data it reaches", "default")
    .option("--subject <name>", "who it is for, as the audit will show it (default: your user name)")
    .option("--attribute <name=value>", "restriction, such as environment=test; may be repeated", collectPair)
    .addOption(
      new Option(
        "--mode <mode>",
        "whose key signs (default: of the server that runs, or ran last, on the folder)",
      ).choices(["development", "production"]),
    )
    .option("--data <folder>", "the data folder (default: HOTSWAP_DATA, or .hotswap)")
    .option("--config <file>", "read settings from this file (default: hotswap.yaml)")
    .option("--json", "print JSON with the token and what is in it")
    .action(makeToken);
}

async function makeToken(flags: Flags): Promise<void> {
  const { openLocalIssuer } = await import("./local-issuer.ts");
  const { issuer, mode, tokenTtlSeconds } = await openLocalIssuer({
    flags: flags.data === undefined ? {} : { data: flags.data },
    configFile: flags.config,
    mode: flags.mode,
  });
  const request = {
    subject: flags.subject ?? userInfo().username,
    tenant: flags.tenant,
    roles: [...new Set(flags.role)],
    ttlSeconds: flags.ttl ?? tokenTtlSeconds,
    ...(flags.attribute && { attributes: flags.attribute }),
  };
  const token = await issuer.mint(request);
  if (!flags.json) {
    process.stdout.write(`${token}\n`);
    return;
  }
  const { ttlSeconds, ...shown } = request;
  const expiresAt = new Date(systemClock.now() + ttlSeconds * 1000).toISOString();
  printJson({ token, mode, ...shown, expiresAt });
}

function collectRole(raw: string, previous: Role[] = []): Role[] {
  const given = raw.split(",").map((name) => roles.find((role) => role === name.trim()));
  const known = given.filter((role) => role !== undefined);
  if (known.length < given.length) throw new InvalidArgumentError(`It must be one of ${roles.join(", ")}.`);
  return [...previous, ...known];
}
