/** Which stores there are, and how much they may hold. */
import { choice, integer, store, text } from "../kind.ts";
import { GiB, MiB, setting } from "../setting.ts";

const isKey = (value: string) => /^[A-Za-z0-9+/]{43}=$/.test(value);

export const storesSettings = {
  "sql.url": setting(store("embedded", ["postgres", "postgresql"]), {
    meaning:
      "The database: `embedded` runs PostgreSQL in the data folder, a URL names a server (PostgreSQL ≥ 15).",
    default: "embedded",
    variable: "HOTSWAP_SQL",
    flag: "sql",
  }),
  "sql.poolSize": setting(integer(1, 1_000), {
    meaning: "How many connections to the database this process opens at most.",
    default: 10,
  }),

  "kv.url": setting(store("memory", ["redis", "rediss", "unix"]), {
    meaning:
      "Cache, counters, locks and notices between nodes: `memory` is for a single node, a URL names a Redis (≥ 7).",
    default: "memory",
    variable: "HOTSWAP_KV",
    flag: "kv",
  }),

  "log.url": setting(store("disk", ["redis", "rediss", "unix"]), {
    meaning:
      "The message log: `disk` keeps segment files in the data folder, a URL names a Redis (≥ 7) that several nodes share.",
    default: "disk",
    variable: "HOTSWAP_LOG",
    flag: "log",
  }),
  "log.durability": setting(choice(["memory", "os", "fsync"]), {
    meaning:
      "What the Redis of the message log has to keep: `fsync` survives a power cut, `os` the death of Redis, `memory` neither. " +
      "The start looks whether it does, and refuses otherwise. A disk always keeps all three.",
    default: "fsync",
  }),
  "log.segmentBytes": setting(integer(MiB, GiB, "bytes"), {
    meaning:
      "A segment file of the message log is closed at this size. What retention frees is whole segments.",
    default: 64 * MiB,
  }),
  "log.tailCacheBytes": setting(integer(0, 64 * GiB, "bytes"), {
    meaning: "Memory for the newest records of all partitions, so that consumers who keep up read no disk.",
    default: 64 * MiB,
  }),
  "log.pendingBytesMax": setting(integer(MiB, 4 * GiB, "bytes"), {
    meaning: "Bytes that may wait to be written. Beyond it a publish is refused with `overloaded`.",
    default: 256 * MiB,
  }),

  "blob.url": setting(store("folder", ["file"]), {
    meaning:
      "Large objects such as plugin packages: `folder` is a folder in the data folder, file:///… another one.",
    default: "folder",
    variable: "HOTSWAP_BLOB",
    flag: "blob",
  }),

  "secrets.url": setting(store("file"), {
    meaning: "The store of secrets: `file` is an encrypted file in the data folder.",
    default: "file",
    variable: "HOTSWAP_SECRETS",
    flag: "secrets",
  }),
  "secrets.masterKey": setting(text("32 bytes in base64", isKey), {
    meaning:
      "The key that encrypts the stored secrets. In development a key is made beside the data that it protects.",
    secret: true,
    requiredInProduction: true,
    advice: "make one with `openssl rand -base64 32` and keep a copy where the data is not",
  }),
};
