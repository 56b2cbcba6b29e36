/** promtool of Debian's package prometheus, where it is installed. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

const answered = await run("promtool", ["--version"]).catch(() => undefined);

/** For `{ skip }` of a test. */
export const withoutPromtool = answered ? false : "promtool is not installed (Debian: prometheus)";

/** Its exit code and all that it said. */
export async function promtool(...args: string[]): Promise<{ code: number; output: string }> {
  try {
    const { stdout, stderr } = await run("promtool", args);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}
