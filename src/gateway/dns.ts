/**
 * Names that stand for backends, resolved again and again: when the shortest TTL of the answer is over, at the latest
 * after `refreshSeconds`, at the earliest after a second. While a name cannot be resolved the last answer counts; what
 * was found once is better than nothing.
 */
import { lookup, Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";
import type { Clock, Timer } from "../core/clock.ts";
import { canonicalJson } from "../core/json.ts";
import type { DnsSpec } from "./backends.schema.ts";
import type { Endpoint } from "./compile.ts";

export interface DnsOptions {
  clock: Clock;
  /** Addresses of name servers, with a port if need be; default those of the system. */
  servers?: readonly string[] | undefined;
  /** The endpoints of a name are others than before. */
  onChange(key: string): void;
  /** Whether anybody still asks; a name that is not in use is forgotten. */
  isUsed(key: string): boolean;
  onError(error: unknown): void;
}

interface Watched {
  spec: DnsSpec;
  endpoints: readonly Endpoint[];
  /** Settles with the first answer, or the first failure. */
  first: Promise<void>;
  timer: Timer | undefined;
}

const refreshSeconds = 30;
const shortestMs = 1_000;
const retryMs = 5_000;
const timeoutMs = 2_000;

export class DnsWatcher {
  readonly #options: DnsOptions;
  readonly #resolver = new Resolver({ timeout: timeoutMs, tries: 2 });
  readonly #watched = new Map<string, Watched>();
  #stopped = false;

  constructor(options: DnsOptions) {
    this.#options = options;
    if (options.servers && options.servers.length > 0) this.#resolver.setServers(options.servers);
  }

  /** What is known now; begins to watch the name when it is new. */
  endpoints(spec: DnsSpec): readonly Endpoint[] {
    const key = dnsKey(spec);
    const known = this.#watched.get(key);
    if (known) return known.endpoints;
    const watched: Watched = { spec, endpoints: [], first: Promise.resolve(), timer: undefined };
    this.#watched.set(key, watched);
    watched.first = this.#resolve(key, watched);
    return watched.endpoints;
  }

  /** Resolves when every name has been asked for once. */
  async settled(): Promise<void> {
    await Promise.all([...this.#watched.values()].map(({ first }) => first));
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#watched.values()) timer?.cancel();
    this.#watched.clear();
    this.#resolver.cancel();
  }

  async #resolve(key: string, watched: Watched): Promise<void> {
    let waitMs = retryMs;
    try {
      const { endpoints, ttlSeconds } = await this.#ask(watched.spec);
      const longestMs = (watched.spec.refreshSeconds ?? refreshSeconds) * 1_000;
      waitMs = Math.min(longestMs, Math.max(shortestMs, ttlSeconds * 1_000));
      if (canonicalJson(endpoints) !== canonicalJson(watched.endpoints)) {
        watched.endpoints = endpoints;
        if (!this.#stopped) this.#options.onChange(key);
      }
    } catch (error) {
      if (!this.#stopped) this.#options.onError(error);
    }
    if (this.#stopped || this.#watched.get(key) !== watched) return;
    watched.timer = this.#options.clock.after(waitMs, () => {
      if (this.#options.isUsed(key)) void this.#resolve(key, watched);
      else this.#watched.delete(key);
    });
  }

  async #ask({ name, type, port, scheme = "http" }: DnsSpec) {
    const toEndpoint = (address: string, at: number, weight = 1): Endpoint => ({
      url: `${scheme}://${isIPv6(address) ? `[${address}]` : address}:${at}`,
      weight,
      ...(scheme === "https" && { serverName: domainOf(name) }),
    });
    if (type !== "SRV") {
      const { addresses, ttlSeconds } = await this.#addresses(name, type);
      return { endpoints: addresses.sort().map((address) => toEndpoint(address, port!)), ttlSeconds };
    }
    const records = await this.#resolver.resolveSrv(name);
    // RFC 2782: the lowest priority that there is; a weight of 0 still gets a little.
    const best = Math.min(...records.map(({ priority }) => priority));
    const chosen = records.filter(({ priority }) => priority === best);
    // A target that has no address yet, or no more, takes nothing from the others.
    const found = await Promise.allSettled(chosen.map(({ name: at }) => this.#addresses(at, undefined)));
    const targets = found.map((answer) => (answer.status === "fulfilled" ? answer.value : undefined));
    if (!targets.some((target) => target)) throw (found[0] as PromiseRejectedResult).reason;
    const endpoints = chosen.flatMap((record, index) =>
      (targets[index]?.addresses ?? []).map((address) =>
        toEndpoint(address, record.port, Math.max(1, record.weight)),
      ),
    );
    endpoints.sort((a, b) => (a.url < b.url ? -1 : 1));
    const ttls = targets.map((target) => target?.ttlSeconds ?? retryMs / 1_000);
    return { endpoints, ttlSeconds: Math.min(...ttls) };
  }

  async #addresses(
    name: string,
    type: DnsSpec["type"],
  ): Promise<{ addresses: string[]; ttlSeconds: number }> {
    const asked = [
      ...(type === "AAAA" ? [] : [this.#resolver.resolve4(name, { ttl: true })]),
      ...(type === "A" ? [] : [this.#resolver.resolve6(name, { ttl: true })]),
    ];
    const answers = await Promise.allSettled(asked);
    const records = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    if (records.length > 0) {
      const ttlSeconds = Math.min(...records.map(({ ttl }) => ttl));
      return { addresses: [...new Set(records.map(({ address }) => address))], ttlSeconds };
    }
    if (this.#options.servers?.length) throw (answers[0] as PromiseRejectedResult).reason;
    // What only this machine knows: /etc/hosts and other sources of the system.
    const family = type === "A" ? 4 : type === "AAAA" ? 6 : 0;
    const local = await lookup(name, { all: true, family });
    return { addresses: [...new Set(local.map(({ address }) => address))], ttlSeconds: refreshSeconds };
  }
}

/**
 * Whose certificate counts. Of a service that is the domain it was asked for (RFC 6125 §6.2.1), never the target that
 * the answer names: a forged answer could then name anything.
 */
const domainOf = (name: string) => name.replace(/^_[^.]+\._[^.]+\./, "");

export const dnsKey = (spec: DnsSpec): string => canonicalJson(spec);
