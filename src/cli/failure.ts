/**
 * What a person sees when a command fails: the code, what happened, what to do; on stderr, as data is on
 * stdout. Exit codes: 0 done, 1 failed, 2 the command was not given as it must be.
 */
import { CommanderError } from "commander";
import { HotSwapConnectionError, HotSwapProblem } from "../../client/src/index.ts";
import { catalogue } from "../core/catalogue.ts";
import { HotSwapError } from "../core/errors.ts";

export interface Failure {
  code: string;
  detail: string;
  help: string;
}

/** Ends a command that has said itself what is wrong. */
export class Exit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Says what went wrong and returns the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof Exit) return error.exitCode;
  // Commander has written its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const failure = failureOf(error);
  if (failure) process.stderr.write(failureText(failure));
  else process.stderr.write(`hotswap: internal: ${error instanceof Error ? error.stack : error}\n`);
  return 1;
}

/** Undefined for what nobody foresaw. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof HotSwapError)
    return { code: error.code, detail: error.message, help: error.entry.help };
  if (error instanceof HotSwapConnectionError) {
    return { code: "server_not_found", detail: error.message, help: catalogue.server_not_found.help };
  }
  if (!(error instanceof HotSwapProblem)) return undefined;
  const { code, detail, help, errors, requestId } = error;
  const fields = errors.map(({ pointer, message }) => `\n  ${pointer} ${message}`).join("");
  const request = code === "internal" && requestId ? ` (request ${requestId})` : "";
  return { code, detail: `${detail}${request}${fields}`, help };
}

export function failureText({ code, detail, help }: Failure): string {
  return `hotswap: ${code}: ${detail}\n${help && `  ${help}\n`}`;
}
