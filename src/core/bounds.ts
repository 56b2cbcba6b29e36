/** Bounds that are not ours. Whatever is asked for and kept has one, so that more is refused and is no failure inside. */

/** The largest number that an `integer` of PostgreSQL holds: of versions, and of what else counts up by hand. */
export const INTEGER_MAX = 2_147_483_647;
