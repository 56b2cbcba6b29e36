/**
 * Which node should own a unit: highest random weight. Every node works it out by itself from the list of nodes
 * that take units; when one comes or goes, only its share moves.
 */
import { crc32 } from "node:zlib";

/** The node that the unit should be at; undefined without nodes. */
export function preferred<Node extends { id: string }>(
  key: string,
  nodes: readonly Node[],
): Node | undefined {
  let best: Node | undefined;
  let bestWeight = -1;
  const keyHash = crc32(key);
  for (const node of nodes) {
    const weight = mix(keyHash ^ Math.imul(crc32(node.id), 0x9e3779b1));
    if (weight > bestWeight || (weight === bestWeight && best && node.id < best.id)) {
      best = node;
      bestWeight = weight;
    }
  }
  return best;
}

/** The finalizer of MurmurHash3: CRCs alone are linear, so their order would be the same for many keys. */
function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
