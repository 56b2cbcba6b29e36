/** One horizontal bar per proxy and load, as long as its share of the fastest under that load, as a small SVG. */
import { type Row, summaries } from "./table.ts";

const width = 760;
const labelWidth = 180;
const barHeight = 18;
const rowHeight = 24;

export function plot(rows: readonly Row[]): string {
  const all = summaries(rows);
  const parts: string[] = [];
  let top = 10;
  for (const load of new Set(all.map((each) => each.load))) {
    const group = all.filter((each) => each.load === load);
    const largest = Math.max(1, ...group.map(({ perSecond }) => perSecond));
    parts.push(`<text x="10" y="${top + 16}" font-weight="bold">${load}</text>`);
    top += 26;
    for (const { peer, perSecond } of group) {
      const length = (perSecond / largest) * (width - labelWidth - 90);
      const colour = peer === "HotSwap" ? "#d9480f" : "#868e96";
      const number = Math.round(perSecond).toLocaleString("en");
      parts.push(
        `<text x="${labelWidth - 8}" y="${top + 13}" text-anchor="end">${peer}</text>
<rect x="${labelWidth}" y="${top}" width="${length.toFixed(1)}" height="${barHeight}" fill="${colour}"/>
<text x="${(labelWidth + length + 6).toFixed(1)}" y="${top + 13}">${number}/s</text>`,
      );
      top += rowHeight;
    }
    top += 12;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" font-family="sans-serif" font-size="13" role="img">
<title>Requests per second, side by side</title>
<rect width="100%" height="100%" fill="#fff"/>
${parts.join("\n")}
</svg>
`;
}
