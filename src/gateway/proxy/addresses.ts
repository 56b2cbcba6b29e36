/** Client addresses: one spelling, lists of blocks, and who the client is behind trusted hops. */
import { BlockList, isIP } from "node:net";

/** IPv4 that comes in through an IPv6 socket is IPv4. */
export function plainAddress(address: string | undefined): string {
  if (!address) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** Throws a TypeError for what is neither an address nor a block. */
export function addressList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.split("/");
    const family = isIP(address);
    const prefix = bits === undefined ? undefined : Number(bits);
    const isBad =
      prefix !== undefined &&
      !(Number.isInteger(prefix) && prefix >= 0 && prefix <= (family === 4 ? 32 : 128));
    if (family === 0 || isBad) throw new TypeError(`${JSON.stringify(entry)} is no address and no block`);
    const type = family === 4 ? "ipv4" : "ipv6";
    if (prefix === undefined) list.addAddress(address, type);
    else list.addSubnet(address, prefix, type);
  }
  return list;
}

export function isListed(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** Some proxies write the client's port as well: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  return /^(?:\[([\da-f:.]+)\]|([\d.]+))(?::\d+)?$/i.exec(hop)?.slice(1).find(Boolean) ?? hop;
}

/**
 * The client of a request that came through trusted hops: the last address of X-Forwarded-For that is not one of
 * them. What stands before it was written by somebody whom we do not trust.
 */
export function clientBehind(trusted: BlockList, peer: string, forwardedFor: string | undefined): string {
  let client = peer;
  for (const hop of (forwardedFor ?? "").split(",").reverse()) {
    if (!isListed(trusted, client)) return client;
    const address = plainAddress(withoutPort(hop.trim()));
    if (isIP(address) === 0) return client;
    client = address;
  }
  return client;
}
