/**
 * Lists with opaque cursors: `{ items, next }`. A cursor is the sort key of the last item, so that pages stay
 * right while rows come and go; it is opaque to callers and not a secret.
 */
import { type TSchema, Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";

export const pageQuery = {
  limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100, description: "Items per page." }),
  cursor: Type.Optional(Type.String({ maxLength: 512, description: "`next` of the previous page." })),
};

export const pageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Union([Type.String(), Type.Null()], {
      description: "Cursor of the next page; null at the end.",
    }),
  });

export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/** The sort key inside a cursor, of the expected length; undefined without a cursor. */
export function decodeCursor(cursor: string | undefined, length: number): (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    const valid = Array.isArray(key) && key.length === length;
    if (valid && key.every(isKey)) return key;
  } catch {
    // fall through: whatever is wrong with it, the answer is the same
  }
  throw new HotSwapError("cursor_invalid");
}

/** A cursor can be made by anybody: what no store can hold must not reach one. */
function isKey(part: unknown): boolean {
  return (
    typeof part === "number" || (typeof part === "string" && part.isWellFormed() && !part.includes("\0"))
  );
}

/** Cuts rows fetched with `limit + 1` into a page. */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  keyOf: (row: Row) => (string | number)[],
): { items: Item[]; next: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items: items.map(toItem), next: rows.length > limit && last ? encodeCursor(keyOf(last)) : null };
}
