/** Writes the results beside the benchmark: as data, as a page, and as a plot. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { plot } from "./plot.ts";
import { markdown } from "./report.ts";
import type { Results } from "./results.ts";

export function saveResults(results: Results, folder: string): void {
  writeFileSync(join(folder, "results.json"), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(folder, "results.svg"), plot(results));
  writeFileSync(join(folder, "results.md"), markdown(results));
}
