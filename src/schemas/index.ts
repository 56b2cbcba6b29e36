/** The schema registry: what the composition root, and the systems that name schemas, need of it. */
import type { Service } from "../core/lifecycle.ts";
import type { Route } from "../platform/http/route.ts";
import { Checker } from "./checker.ts";
import { WorkerPool } from "./compile/pool.ts";
import type { Validator } from "./compile/validator.ts";
import { configRoutes } from "./confluent/config.routes.ts";
import { deletionRoutes } from "./confluent/deletion.routes.ts";
import { subjectRoutes as registryRoutes } from "./confluent/subjects.routes.ts";
import { subjectRoutes } from "./schema-subjects.routes.ts";
import { SchemaSubjects } from "./schema-subjects.ts";
import { schemaRoutes } from "./schemas.routes.ts";
import { type SchemaParts, Schemas } from "./schemas.ts";
import type { SchemaUser } from "./users.ts";
import { Validators } from "./validators.ts";

export type { Validator } from "./compile/validator.ts";
export type { Caller, SchemaUse, SchemaUser, Usage } from "./users.ts";

export interface SchemaSettings {
  autoApprove: boolean;
  sizeLimitBytes: number;
  deadlineMs: number;
  documentTimeoutMs: number;
}

export interface SchemaRegistryOptions extends Omit<SchemaParts, "checker" | "autoApprove"> {
  settings: SchemaSettings;
}

/** A version in force with what checks documents under it. */
export interface SchemaInForce {
  subject: string;
  version: number;
  number: number;
  validator: Validator;
}

export const migrations = new URL("./migrations/", import.meta.url);

export class SchemaRegistry implements Service {
  readonly name = "schemas";
  readonly routes: Route[];
  readonly #pool: WorkerPool;
  readonly #schemas: Schemas;
  readonly #validators: Validators;

  constructor({ settings, ...parts }: SchemaRegistryOptions) {
    const { autoApprove, sizeLimitBytes, deadlineMs, documentTimeoutMs } = settings;
    const { clock } = parts;
    this.#pool = new WorkerPool({ clock, deadlineMs });
    this.#validators = new Validators({ pool: this.#pool, clock, documentTimeoutMs });
    const checker = new Checker(this.#pool, sizeLimitBytes);
    this.#schemas = new Schemas({ ...parts, checker, autoApprove });
    const subjects = new SchemaSubjects(parts);
    this.routes = [
      ...schemaRoutes(this.#schemas, checker),
      ...subjectRoutes(subjects),
      ...registryRoutes(this.#schemas, checker),
      ...deletionRoutes(this.#schemas),
      ...configRoutes(subjects),
    ];
  }

  /** Whoever names schemas says so here, before the server takes requests. */
  addUser(user: SchemaUser): void {
    this.#schemas.addUser(user);
  }

  /** The version of this number, or the latest in force; undefined when there is none. */
  async inForce(tenant: string, subject: string, version?: number): Promise<SchemaInForce | undefined> {
    const row = await this.#schemas.inForce(tenant, subject, version);
    if (!row) return undefined;
    const validator = await this.#validators.get(tenant, row.number, row.text);
    return { subject, version: row.version, number: row.number, validator };
  }

  start(): Promise<void> {
    return this.#pool.start();
  }

  stop(): Promise<void> {
    return this.#pool.stop();
  }
}
