/** Text for people: aligned tables and numbers that can be read at a glance. */
import { styleText } from "node:util";

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0)}\n`);
}

/** Columns as wide as they must be; numbers to the right. */
export function printTable(heads: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const shown = rows.map((row) => row.map((cell) => (typeof cell === "number" ? grouped(cell) : cell)));
  const widths = heads.map((head, index) =>
    Math.max(head.length, ...shown.map((row) => row[index]?.length ?? 0)),
  );
  const isNumber = heads.map((_, index) => typeof rows[0]?.[index] === "number");
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => (isNumber[index] ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)))
      .join("  ")
      .trimEnd();
  process.stdout.write(`${styleText("dim", line(heads))}\n`);
  for (const row of shown) process.stdout.write(`${line(row)}\n`);
}

/** 1234567 → 1,234,567 */
export function grouped(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString("en-US") : value.toFixed(2);
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"];

export function byteText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${units[power]}`;
}

export function durationText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

/** Resolves when the system has taken the text; never when the reader of a pipe is gone, which ends the process. */
export function written(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}
