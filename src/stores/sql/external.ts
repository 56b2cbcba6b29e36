/**
 * A PostgreSQL server that somebody else runs, by URL: postgres://user:password@host:port/database. TLS is on and
 * the certificate is verified for every host but this machine; `sslmode` and `sslrootcert` in the URL say
 * otherwise. What is in the URL never appears in an error.
 */
import type pg from "pg";
import { HotSwapError } from "../../core/errors.ts";
import type { SqlServer } from "./database.ts";

export function externalServer(url: string): SqlServer {
  return {
    start: async () => connectionTo(url),
    stop: async () => {},
  };
}

const localHosts = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])?$/;

export function connectionTo(text: string): pg.ClientConfig {
  if (!URL.canParse(text)) refuse("it is not a URL");
  const url = new URL(text);
  if (!["postgres:", "postgresql:"].includes(url.protocol)) refuse("it does not begin with postgres://");

  const socketFolder = url.searchParams.get("host");
  const isLocal = socketFolder ? socketFolder.startsWith("/") : localHosts.test(url.hostname);
  switch (url.searchParams.get("sslmode")) {
    case null:
      if (!isLocal) url.searchParams.set("sslmode", "verify-full");
      break;
    case "require": // encrypted but open to whoever is in the middle; pg reads it as verify-full today, but not for ever
    case "verify-ca":
      url.searchParams.set("sslmode", "verify-full");
      break;
    case "disable":
    case "no-verify":
    case "verify-full":
      break;
    default:
      refuse("sslmode is one of disable, no-verify, require, verify-ca and verify-full");
  }
  return { connectionString: url.href };
}

function refuse(why: string): never {
  throw new HotSwapError("setting_invalid", `The URL of the SQL store cannot be used: ${why}.`);
}
