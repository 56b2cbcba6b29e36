/**
 * Every error that a caller can meet: stable code, kind, title, and what to do about it.
 * docs/reference/errors.md is generated from this table and a test holds the two together. A code is
 * never renamed or reused; texts may improve.
 */
import { configuration } from "./catalogue/configuration.ts";
import { deployment } from "./catalogue/deployment.ts";
import type { CatalogueEntry } from "./catalogue/entry.ts";
import { gateway } from "./catalogue/gateway.ts";
import { messaging } from "./catalogue/messaging.ts";
import { platform } from "./catalogue/platform.ts";
import { schemas } from "./catalogue/schemas.ts";
import { stores } from "./catalogue/stores.ts";

export type { CatalogueEntry, ErrorKind } from "./catalogue/entry.ts";

const entries = {
  ...platform,
  ...stores,
  ...messaging,
  ...gateway,
  ...schemas,
  ...deployment,
  ...configuration,
};

export type ErrorCode = keyof typeof entries;

export const catalogue: Readonly<Record<ErrorCode, CatalogueEntry>> = entries;
