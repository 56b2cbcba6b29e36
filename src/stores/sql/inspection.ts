/** What is looked at when a server is first reached: all that would otherwise go wrong later, some of it quietly. */
import type pg from "pg";
import { HotSwapError } from "../../core/errors.ts";
import { failureCode, storeFailure } from "./failures.ts";

export interface Inspection {
  version: number;
  encoding: string;
  /** Whether row-level security is void for the role. */
  bypass: boolean;
}

const oldestVersion = 150_000;

const question = `select current_setting('server_version_num')::int as version,
  current_setting('server_encoding') as encoding,
  (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) as bypass`;

/** Resolves to the server's version, such as 180004. Rejects with `setting_invalid` or `store_unavailable`. */
export async function inspect(pool: pg.Pool): Promise<number> {
  const found = await ask(pool);
  refuseUnfit(found);
  return found.version;
}

async function ask(pool: pg.Pool): Promise<Inspection> {
  try {
    return (await pool.query<Inspection>(question)).rows[0]!;
  } catch (error) {
    if (/^(28|3D)/.test(failureCode(error) ?? ""))
      refuse("PostgreSQL refuses its role, password or database.");
    if ((error as { syscall?: string }).syscall === "open")
      refuse("a certificate file that its URL names cannot be read.");
    throw storeFailure(error);
  }
}

export function refuseUnfit({ version, encoding, bypass }: Inspection): void {
  if (version < oldestVersion)
    refuse(`it is PostgreSQL ${Math.floor(version / 10_000)}, 15 or newer is needed.`);
  if (encoding !== "UTF8") refuse(`its database is encoded in ${encoding}, UTF8 is needed.`);
  if (bypass) refuse("its role is a superuser or has BYPASSRLS, so tenants would see each other's rows.");
}

function refuse(why: string): never {
  throw new HotSwapError("setting_invalid", `The SQL store cannot be used: ${why}`);
}
