/** A word-sized chart of one rate. It shows shape, not numbers; those stand beside it. */
import type { Series } from "../series.ts";

interface SparklineProps<Name extends string> {
  series: Series<Name>;
  name: Name;
  color?: 1 | 2 | 3;
}

const width = 100;
const height = 24;
const samples = 60;

export function Sparkline<Name extends string>({ series, name, color = 1 }: SparklineProps<Name>) {
  series.revision.value; // subscribes
  const values = series.values(name).slice(-samples);
  const high = Math.max(1e-9, ...values.map((value) => value ?? 0));
  const point = (value: number, index: number) => {
    const x = width - ((values.length - 1 - index) * width) / (samples - 1);
    return `${x.toFixed(1)} ${(height - 2 - (value / high) * (height - 5)).toFixed(1)}`;
  };
  let line = "";
  let isPenUp = true;
  values.forEach((value, index) => {
    if (value !== null) line += `${isPenUp ? "M" : "L"}${point(value, index)}`;
    isPenUp = value === null;
  });
  return (
    <svg
      class={`sparkline series-${color}`}
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {line && <path d={line} />}
    </svg>
  );
}
