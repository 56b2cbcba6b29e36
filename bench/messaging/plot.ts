/** One horizontal bar per row, with a whisker from the slowest to the fastest round, as a small SVG. */
import { type Results, type Row, rowsOf } from "./results.ts";

const width = 820;
const labelWidth = 270;
const barHeight = 20;
const rowHeight = 30;
const barSpace = width - labelWidth - 90;

const escapeXml = (text: string) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const thousands = (value: number) => `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k/s`;

function bar(row: Row, top: number, largest: number): string {
  const x = (value: number) => (labelWidth + (value / largest) * barSpace).toFixed(1);
  const middle = top + barHeight / 2;
  const width = ((row.perSecond / largest) * barSpace).toFixed(1);
  const colour = row.system.startsWith("hotswap") ? "#d9480f" : "#868e96";
  return `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end">${escapeXml(row.title)}</text>
<rect x="${labelWidth}" y="${top}" width="${width}" height="${barHeight}" fill="${colour}"/>
<path d="M${x(row.slowest)} ${middle}H${x(row.fastest)}" stroke="#212529" stroke-width="2"/>
<text x="${Number(x(Math.max(row.perSecond, row.fastest))) + 6}" y="${middle + 4}">${thousands(row.perSecond)}</text>`;
}

export function plot(results: Results): string {
  const parts: string[] = [];
  let top = 10;
  for (const [phase, caption] of [
    ["publish", "Publish, messages of 1 KiB"],
    ["consume", "Consume and acknowledge"],
  ] as const) {
    const rows = rowsOf(results, phase);
    const largest = Math.max(1, ...rows.map((row) => row.fastest));
    parts.push(`<text x="10" y="${top + 16}" font-weight="bold">${caption}</text>`);
    top += 28;
    for (const row of rows) {
      parts.push(bar(row, top, largest));
      top += rowHeight;
    }
    top += 14;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" font-family="sans-serif" font-size="13" role="img">
<title>Messages per second, side by side</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join("\n")}
</svg>
`;
}
