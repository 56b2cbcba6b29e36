/** `hotswap bench`. */
import type { Command } from "commander";

export function addBench(program: Command): void {
  program.command("bench");
}
