/** A number of a table: a dash where nothing is known yet. */
export function number(
  value: number | null | undefined,
  format: (value: number) => string,
  unit = "",
): ReturnType<typeof Dash> | string {
  return value === null || value === undefined ? <Dash /> : `${format(value)}${unit}`;
}

export function Dash() {
  return <span class="muted">–</span>;
}
