/** Subjects: what schemas are versions of, and how compatible these must be, of each or by default. */
import type { Clock } from "../core/clock.ts";
import type { Audit } from "../platform/audit/index.ts";
import { type Actor, change } from "../platform/http/change.ts";
import type { Sql } from "../stores/sql/port.ts";
import { defaultMode, type Mode } from "./modes.ts";
import * as rows from "./schemas.sql.ts";
import type { SchemaTx, SubjectRow } from "./tables.ts";

export interface SchemaSubjectsParts {
  sql: Sql;
  audit: Pick<Audit, "record">;
  clock: Clock;
}

export class SchemaSubjects {
  readonly #parts: SchemaSubjectsParts;

  constructor(parts: SchemaSubjectsParts) {
    this.#parts = parts;
  }

  list(tenant: string, after: string | undefined, limit: number): Promise<SubjectRow[]> {
    return this.#read(tenant, (tx) => rows.selectSubjects(tx, tenant, after, limit));
  }

  /** Undefined when nobody has named it. */
  get(tenant: string, name: string): Promise<SubjectRow | undefined> {
    return this.#read(tenant, (tx) => rows.selectSubject(tx, tenant, name));
  }

  async defaultCompatibility(tenant: string): Promise<Mode> {
    return (await this.#read(tenant, (tx) => rows.selectDefault(tx, tenant))) ?? defaultMode;
  }

  /**
   * Of one subject, which is answered, or of all that have none of their own; null takes a subject's own away.
   */
  configure(
    actor: Actor,
    subject: string | undefined,
    compatibility: Mode | null,
  ): Promise<SubjectRow | undefined> {
    const { sql, audit, clock } = this.#parts;
    const { principal, requestId } = actor;
    const { tenant } = principal;
    const work = async (tx: SchemaTx) => {
      const now = new Date(clock.now());
      const resource = subject === undefined ? "schema-subjects" : `schema-subjects/${subject}`;
      const action = "schema.configure";
      await audit.record(tx, { principal, requestId, action, resource, detail: { compatibility } });
      if (subject === undefined) {
        await rows.upsertDefault(tx, tenant, compatibility ?? defaultMode, now);
        return undefined;
      }
      await rows.lockSubject(tx, tenant, subject, now);
      return rows.updateSubject(tx, tenant, subject, { compatibility }, now);
    };
    return change(sql, actor, work, () => {});
  }

  #read<Result>(tenant: string, work: (tx: SchemaTx) => Promise<Result>): Promise<Result> {
    return this.#parts.sql.tenant(tenant, work);
  }
}
