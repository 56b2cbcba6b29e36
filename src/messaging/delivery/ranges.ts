/** Offsets as ranges, both ends included. */
export function toRanges(offsets: readonly number[]): [number, number][] {
  const sorted = offsets.toSorted((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const offset of sorted) {
    const last = ranges.at(-1);
    if (last && offset === last[1] + 1) last[1] = offset;
    else ranges.push([offset, offset]);
  }
  return ranges;
}
