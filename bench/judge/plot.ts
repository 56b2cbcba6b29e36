/** A row for each scenario, a dot for each judge, from 0 to 100 % rolled back, as a small SVG. */
import type { Results, Row } from "./report.ts";
import { rules } from "./rules.ts";

const width = 1000;
const labelWidth = 530;
const rowHeight = 22;
const space = width - labelWidth - 30;
const colours = ["#d9480f", "#ffa94d", "#1c7ed6", "#74c0fc", "#2b8a3e", "#8ce99a", "#862e9c"];

const escapeXml = (text: string) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
const x = (share: number) => (labelWidth + share * space).toFixed(1);

function line(row: Row, top: number): string {
  const y = top + rowHeight / 2;
  // HotSwap last, so that its dot lies on top of others.
  const dots = row.rules
    .map(({ rolledBack }, index) => {
      const radius = index === 0 ? 6 : 4.5;
      return `<circle cx="${x(rolledBack / row.runs)}" cy="${y}" r="${radius}" fill="${colours[index]}"/>`;
    })
    .reverse();
  return `<text x="${labelWidth - 12}" y="${y + 4}" text-anchor="end">${escapeXml(row.scenario)}</text>
<path d="M${x(0)} ${y}H${x(1)}" stroke="#dee2e6"/>
${dots.join("\n")}`;
}

export function plot({ rows }: Results): string {
  const parts = rules.map(({ name }, index) => {
    const left = 20 + index * 140;
    return `<circle cx="${left}" cy="18" r="5" fill="${colours[index]}"/><text x="${left + 9}" y="22">${name}</text>`;
  });
  let top = 40;
  for (const [group, caption] of [
    ["same", "No worse: rolled back (left is right)"],
    ["worse", "Worse: rolled back (right is right)"],
    ["clustered", "No worse, errors in clusters: rolled back (left is right)"],
  ] as const) {
    parts.push(`<text x="10" y="${top + 14}" font-weight="bold">${caption}</text>`);
    top += 22;
    for (const row of rows.filter((each) => each.group === group)) {
      parts.push(line(row, top));
      top += rowHeight;
    }
    top += 10;
  }
  const marks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) => `<text x="${x(share)}" y="${top + 10}" text-anchor="middle">${share * 100} %</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top + 24}" font-family="sans-serif" font-size="12" role="img">
<title>How often each judge rolls back, by scenario</title>
<rect width="100%" height="100%" fill="#fff"/>
${[...parts, ...marks].join("\n")}
</svg>
`;
}
