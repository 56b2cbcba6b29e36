/**
 * Where a webhook may go. A tenant chooses the address, so it must not lead into the operator's own network: names
 * are resolved once, every address is looked at, and the connection is made to one of those that were looked at, so
 * that a name which changes its mind between look and connect gains nothing.
 */
import { lookup as resolveName } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { HotSwapError } from "../../core/errors.ts";

export interface Address {
  address: string;
  family: 4 | 6;
}

export type Resolve = (hostname: string) => Promise<Address[]>;

export const systemResolve: Resolve = async (hostname) =>
  (await resolveName(hostname, { all: true, verbatim: true })) as Address[];

/** What is not the public internet: IANA's special-purpose registries (RFC 6890) and multicast. */
const inner = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const) {
  inner.addSubnet(network, prefix, "ipv4");
}
/** Only 2000::/3 is given out at all; within it, what is special or carries an IPv4 address. */
const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");
for (const [network, prefix] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const) {
  inner.addSubnet(network, prefix, "ipv6");
}

export function isPublic({ address, family }: Address): boolean {
  if (family === 4) return !inner.check(address, "ipv4");
  return global6.check(address, "ipv6") && !inner.check(address, "ipv6");
}

/** Throws `push_target_refused` for what can be told from the address itself. */
export function checkTarget(text: string, privateAllowed: boolean): URL {
  const refuse = (message: string) => {
    const fields = [{ pointer: "/url", message }];
    return new HotSwapError("push_target_refused", `The address ${message}.`, { fields });
  };
  if (!URL.canParse(text)) throw refuse("must be a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !(privateAllowed && url.protocol === "http:"))
    throw refuse("must begin with https:");
  if (url.username !== "" || url.password !== "") throw refuse("must not carry a user or password");
  const host = hostOf(url);
  const family = isIP(host);
  const isInner = host === "localhost" || host.endsWith(".localhost");
  if (
    !privateAllowed &&
    (isInner || (family !== 0 && !isPublic({ address: host, family: family as 4 | 6 })))
  ) {
    throw refuse("must not lead to a private or loopback network");
  }
  return url;
}

/** The address to connect to. Throws `push_target_refused` when the name leads to any that is not public. */
export async function pin(url: URL, privateAllowed: boolean, resolve: Resolve): Promise<Address> {
  const host = hostOf(url);
  const family = isIP(host);
  const addresses = family !== 0 ? [{ address: host, family: family as 4 | 6 }] : await resolve(host);
  const [first] = addresses;
  if (!first) throw new Error(`${host} has no address`);
  if (!privateAllowed && !addresses.every(isPublic)) {
    throw new HotSwapError("push_target_refused", `${host} leads to a private or loopback network.`);
  }
  return first;
}

const hostOf = (url: URL) => url.hostname.replace(/^\[|\]$/g, "");
