/** How values of the database become values of JavaScript, where pg's own choice is a trap. */
import pg from "pg";

const { builtins, getTypeParser } = pg.types;

export const parserOf: typeof getTypeParser = (type: number, format?: unknown) => {
  if (type === builtins.INT8) return parseBigint;
  if (type === builtins.DATE) return String; // as a Date it would be midnight in the local zone, elsewhere another day
  return getTypeParser(type, format as "text");
};

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError("a bigint from the database is beyond 2^53");
  return value;
}
