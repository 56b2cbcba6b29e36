/** A live line chart of a Series over the last minutes, by uPlot. The legend shows values at the cursor. */
import { effect, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { type Series, spanSeconds } from "../series.ts";
import { theme } from "../theme.ts";

export interface Line<Name extends string> {
  name: Name;
  label: string;
  /** Which of the palette's colours. */
  color: 1 | 2 | 3;
}

interface ChartProps<Name extends string> {
  title: string;
  series: Series<Name>;
  lines: readonly Line<Name>[];
  format(value: number): string;
  /** Charts with the same key move their cursors together. */
  syncKey?: string;
  height?: number;
}

export function Chart<Name extends string>(props: ChartProps<Name>) {
  const { title, series, lines, format, height = 180 } = props;
  const place = useRef<HTMLDivElement>(null);
  const cursor = useSignal<number | null>(null);
  const currentTheme = theme.value;
  useEffect(() => {
    const element = place.current!;
    const onCursor = (index: number | null) => {
      cursor.value = index;
    };
    const plot = new uPlot(optionsOf(props, element, onCursor), dataOf(series, lines), element);
    const stopDrawing = effect(() => {
      series.revision.value; // subscribes
      plot.setData(dataOf(series, lines), true);
    });
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      stopDrawing();
      observer.disconnect();
      plot.destroy();
    };
  }, [series, currentTheme]);

  series.revision.value; // the legend follows the data
  const shownValue = (name: Name) => {
    const value = cursor.value === null ? series.latest(name) : series.values(name)[cursor.value];
    return value === null || value === undefined ? "–" : format(value);
  };
  return (
    <figure class={`panel chart${lines.length > 1 ? " many" : ""}`}>
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {lines.map(({ name, label, color }) => (
            <li key={name}>
              <span class={`swatch series-${color}`} />
              {label} <b>{shownValue(name)}</b>
            </li>
          ))}
        </ul>
      </figcaption>
      <div ref={place} role="img" aria-label={`${title}, last five minutes`} />
    </figure>
  );
}

function dataOf<Name extends string>(series: Series<Name>, lines: readonly Line<Name>[]): uPlot.AlignedData {
  return [series.times, ...lines.map(({ name }) => series.values(name))];
}

function optionsOf<Name extends string>(
  { series, lines, format, syncKey, height = 180 }: ChartProps<Name>,
  element: HTMLElement,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const style = getComputedStyle(element);
  const ink = (name: string) => style.getPropertyValue(name);
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: ink("--muted"), font, ticks: { show: false }, border: { show: false } };
  const divisions = height > 150 ? 4 : 2;
  const grid = { stroke: ink("--line"), width: 1 };
  return {
    width: element.clientWidth,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 6 },
      ...(syncKey && { sync: { key: syncKey } }),
    },
    scales: {
      x: { time: true, range: () => rangeOf(series.times) },
      y: { range: (_plot, _low, high) => [0, niceCeiling(high, divisions)] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 24, values: (_plot, ticks) => ticks.map(clockTime) },
      {
        ...axis,
        grid,
        size: 50,
        splits: (_plot, _axis, _low, high) =>
          Array.from({ length: divisions + 1 }, (_, index) => (index * high) / divisions),
        values: (_plot, ticks) => ticks.map(format),
      },
    ],
    series: [
      {},
      ...lines.map(({ label, color }) => ({
        label,
        stroke: ink(`--series-${color}`),
        fill: `color-mix(in srgb, ${ink(`--series-${color}`)} 9%, transparent)`,
        width: 1.5,
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [(plot) => onCursor(plot.cursor.idx ?? null)] },
  };
}

/** Between one minute, while the chart is young, and five. */
function rangeOf(times: readonly number[]): [number, number] {
  const end = times.at(-1) ?? Date.now() / 1000;
  const known = end - (times[0] ?? end);
  return [end - Math.min(spanSeconds, Math.max(60, known)), end];
}

/**
 * A calm scale: the lowest of 1, 2, 4, 6, 8 × 10ⁿ at or above the highest value. Never lower than its number
 * of divisions, so that whole numbers keep whole ticks.
 */
function niceCeiling(high: number | null, divisions: number): number {
  if (!high || high <= divisions) return divisions;
  const power = 10 ** Math.floor(Math.log10(high));
  return ([1, 2, 4, 6, 8].find((step) => step * power >= high) ?? 10) * power;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const clockTime = (seconds: number) => (seconds % 60 === 0 ? clock.format(seconds * 1000) : "");
