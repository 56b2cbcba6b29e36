/** Of the schema registry. */
import type { CatalogueEntry } from "./entry.ts";

export const schemas = {
  schema_invalid: {
    kind: "unprocessable",
    title: "The schema cannot be used",
    help: "Each entry of `errors` points into the schema. It must be JSON Schema of draft 2020-12 or 7, complete in itself, with patterns that are regular.",
  },
  schema_too_costly: {
    kind: "unprocessable",
    title: "The schema, or a document under it, takes too long to work with",
    help: "Make the schema simpler: fewer alternatives inside of one another, smaller repetitions in patterns.",
  },
  schema_not_found: {
    kind: "not_found",
    title: "There is no such schema",
    help: "List them with `hotswap schema list`; register one with `hotswap schema register`.",
  },
  schema_incompatible: {
    kind: "conflict",
    title: "The schema is not compatible with an earlier version",
    help: "The verdict in `data` has a document that breaks it. Change the schema, or register it here as a draft and submit it for an approval.",
  },
  schema_state_refused: {
    kind: "conflict",
    title: "The schema is not in a state that allows this",
    help: "A version goes from draft to in_review, approved, deprecated and retired, and never back.",
  },
  schema_in_use: {
    kind: "conflict",
    title: "The schema version is in use",
    help: "`data` lists the topics, subscriptions, consumers and schemas that use it. Move them to another version first, or send `force`.",
  },
  schema_violated: {
    kind: "unprocessable",
    title: "The payload does not fit the schema of its topic",
    help: "Each entry of `errors` points into the message. Nothing of this request was accepted.",
  },
} as const satisfies Record<string, CatalogueEntry>;
