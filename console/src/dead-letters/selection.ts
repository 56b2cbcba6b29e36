/** Which dead letters are meant: it stands in the address, so that it can be passed on. */
import type { DeadLetterFilter } from "../../../client/src/index.ts";
import { shellWord } from "../parts/twin.tsx";
import { query } from "../route.ts";

export function selection(): DeadLetterFilter {
  const { subscription, reason, from, to } = query.value;
  return {
    ...(subscription && { subscription }),
    ...(reason && { reason }),
    ...(from && { from: timeOf(from) }),
    ...(to && { to: timeOf(to) }),
  };
}

/** What the time box gives is local and has no zone. */
function timeOf(text: string): string {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? text : time.toISOString();
}

/** The same on the command line, with a space before each option. */
export const selectionFlags = (chosen: DeadLetterFilter): string =>
  Object.entries(chosen)
    .map(([name, value]) => ` --${name} ${shellWord(value)}`)
    .join("");
