/**
 * Evaluating flags for callers that do not do it themselves (OFREP): a configuration in flagd's format, read once for
 * each version. While a deployment runs the targeting key is the unit: the same one sees the same version, at every
 * node. Without a targeting key the caller sees what an instance sees that is not exposed.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { type Evaluation, type FlagContext, FlagSet } from "../../client/src/flags/flags.ts";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { canonicalJson } from "../core/json.ts";
import type { Principal } from "../platform/auth/principal.ts";
import { guard, type Restricted } from "./access.ts";
import { versionFor } from "./desired.ts";
import type { Documents } from "./documents.ts";
import type { Hub } from "./hub.ts";
import type { Payloads } from "./payloads.ts";
import type { ScopeName } from "./scopes.sql.ts";

export interface OfrepParts {
  documents: Pick<Documents, "config">;
  hub: Hub;
  payloads: Payloads;
  clock: Clock;
}

interface Place extends Restricted {
  scope: ScopeName;
}

export interface OneFlag {
  key: string;
  value?: unknown;
  variant?: string;
  reason: string;
  metadata: Readonly<Record<string, string | number | boolean>>;
}

export type BulkFlag = OneFlag | { key: string; errorCode: string; errorDetails: string };

/** A configuration may change its labels; who holds restricted tokens is late by so much at most. */
const placeKeptMs = 30_000;

export class Ofrep {
  readonly #parts: OfrepParts;
  readonly #places = new LRUCache<string, { place: Place; until: number }>({ max: 10_000 });
  /** By ETag of the document. */
  readonly #sets = new LRUCache<string, FlagSet>({ max: 200 });

  constructor(parts: OfrepParts) {
    this.#parts = parts;
  }

  /** Throws `flag_not_found`, `flag_evaluation_failed`, and what concerns the document. */
  async evaluate(principal: Principal, config: string, key: string, context: FlagContext): Promise<OneFlag> {
    const { set, metadata } = await this.#find(principal, config, context);
    const found = set.evaluate(key, context, this.#parts.clock.now());
    if (!("errorCode" in found)) return show(key, found, metadata);
    const { errorCode, errorMessage } = found;
    const code = errorCode === "FLAG_NOT_FOUND" ? "flag_not_found" : "flag_evaluation_failed";
    throw new HotSwapError(code, `${errorMessage}.`, { data: { key, errorCode } });
  }

  /**
   * `etag`: of the document and everything that rules may ask for; `known`: those that the caller has; `revision`: what
   * it has heard of, as a stream told it.
   */
  async evaluateAll(
    principal: Principal,
    config: string,
    context: FlagContext,
    { known, revision }: { known: string | undefined; revision: number },
  ) {
    const { set, metadata, etag: document } = await this.#find(principal, config, context, revision);
    const digest = createHash("sha256").update(document).update(canonicalJson(context)).digest("hex");
    const etag = `"${digest.slice(0, 32)}"`;
    if (known?.split(",").some((tag) => tag.trim() === etag)) return { etag, flags: undefined };
    const now = this.#parts.clock.now();
    const flags = set.keys.map((key): BulkFlag => {
      const found = set.evaluate(key, context, now);
      if (!("errorCode" in found)) return show(key, found, metadata);
      return { key, errorCode: found.errorCode, errorDetails: found.errorMessage };
    });
    return { etag, flags };
  }

  /** Where changes of these flags are seen. Throws `config_not_found`. */
  async scopeOf(tenant: string, config: string): Promise<ScopeName> {
    return (await this.#place(tenant, config)).scope;
  }

  async #find(principal: Principal, config: string, context: FlagContext, revision = 0) {
    const { hub, payloads } = this.#parts;
    const { tenant } = principal;
    const { scope, ...restricted } = await this.#place(tenant, config);
    guard(principal, "flags.evaluate", restricted);
    const wanted = (await hub.state(scope, revision)).configs.get(config);
    const { targetingKey } = context;
    // Position of the empty name: exposed only when everybody nearly is, as good as any.
    const id = typeof targetingKey === "string" ? targetingKey : "";
    const version = wanted && versionFor({ ...wanted, pins: [] }, { id, labels: {} });
    const payload = version === undefined ? undefined : await payloads.get(tenant, config, version);
    if (!payload) throw new HotSwapError("config_not_found", `No version of ${config} is in force.`);
    const set = this.#sets.get(payload.etag) ?? parse(config, payload.json);
    this.#sets.set(payload.etag, set);
    return { set, etag: payload.etag, metadata: { config, version: payload.version } };
  }

  async #place(tenant: string, config: string): Promise<Place> {
    const { documents, clock } = this.#parts;
    const key = JSON.stringify([tenant, config]);
    const kept = this.#places.get(key);
    if (kept && clock.monotonic() < kept.until) return kept.place;
    const row = await documents.config(tenant, config);
    if (!row) throw new HotSwapError("config_not_found", `There is no configuration ${config}.`);
    const { service, environment, labels } = row;
    const place = { scope: { tenant, service, environment }, environment, labels };
    this.#places.set(key, { place, until: clock.monotonic() + placeKeptMs });
    return place;
  }
}

function parse(config: string, json: string): FlagSet {
  try {
    return FlagSet.parse(JSON.parse(json));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new HotSwapError("config_holds_no_flags", `${config}: ${error.message}.`, { cause: error });
  }
}

function show(
  key: string,
  { value, variant, reason, metadata }: Exclude<Evaluation, { errorCode: unknown }>,
  about: OneFlag["metadata"],
): OneFlag {
  return {
    ...{ key, reason, metadata: { ...about, ...metadata } },
    ...(value !== undefined && { value }),
    ...(variant !== undefined && { variant }),
  };
}
