/** The tables of the registry as Kysely sees them; migrations/ is the truth. */
import type { ColumnType, Generated, Selectable } from "kysely";
import type { Tx } from "../stores/sql/port.ts";
import type { Draft } from "./document.ts";
import type { SchemaState } from "./lifecycle.ts";
import type { Mode } from "./modes.ts";

interface TextsTable {
  tenant_id: string;
  number: Generated<number>;
  hash: string;
  draft: Draft;
  text: string;
  /** Of a schema with references: as it was sent, before they were copied into `text`. */
  source: string | null;
  source_references: ColumnType<readonly SourceReference[] | null, string | null>;
  created_at: Date;
}

/** A version of another subject, by the name that `$ref` calls it. */
export interface SourceReference {
  name: string;
  subject: string;
  version: number;
}

export interface Source {
  text: string;
  references: readonly SourceReference[];
}

interface SubjectsTable {
  tenant_id: string;
  name: string;
  compatibility: Mode | null;
  last_version: Generated<number>;
  revision: Generated<number>;
  created_at: Date;
  updated_at: Date;
}

interface VersionsTable {
  tenant_id: string;
  id: string;
  subject: string;
  version: number;
  number: number;
  state: SchemaState;
  description: string;
  author: string;
  verdict: string;
  approval_id: string | null;
  created_at: Date;
  updated_at: Date;
}

export interface SchemaTables {
  schema_texts: TextsTable;
  schema_subjects: SubjectsTable;
  schema_versions: VersionsTable;
  schema_defaults: { tenant_id: string; compatibility: Mode; updated_at: Date };
}

export type SchemaTx = Tx<SchemaTables>;
export type SubjectRow = Selectable<SubjectsTable>;
/** A version with its text. */
export type VersionRow = Selectable<VersionsTable> &
  Pick<Selectable<TextsTable>, "text" | "hash" | "draft" | "source" | "source_references">;
