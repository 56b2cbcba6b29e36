/** Bounds that are not ours. Whatever is asked for has one, so that more is refused and is no failure inside. */

/** The largest number that an `integer` of PostgreSQL holds: of versions, and of what else is counted up by hand. */
export const INTEGER_MAX = 2_147_483_647;
