/**
 * Time-ordered ids: UUID version 7 (RFC 9562 §5.7), made in the application so that an id is known before
 * the row is written. Within one maker they are strictly increasing, also when the wall clock goes back.
 */
import type { Clock } from "./clock.ts";
import type { Random } from "./random.ts";

export type MakeId = () => string;

export function idMaker(clock: Clock, random: Random): MakeId {
  let lastMs = 0;
  let counter = 0;
  return () => {
    const now = clock.now();
    if (now > lastMs) {
      lastMs = now;
      counter = random.below(0x400); // room for 3,072 more in this millisecond before it is borrowed from the next
    } else if (++counter > 0xfff) {
      lastMs += 1;
      counter = 0;
    }
    const bytes = new Uint8Array(16);
    bytes.set(random.bytes(8), 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Math.floor(lastMs / 0x10000));
    view.setUint16(4, lastMs % 0x10000);
    view.setUint16(6, 0x7000 | counter);
    view.setUint8(8, 0x80 | (bytes[8]! & 0x3f));
    const hex = Buffer.from(bytes.buffer).toString("hex");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}
