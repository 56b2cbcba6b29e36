/** `hotswap routes`. */
import type { Command } from "commander";

export function addRoutes(program: Command): void {
  program.command("routes");
}
