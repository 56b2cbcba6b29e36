/**
 * The deployment engine: one way to change a running system step by step, for every kind of thing that has a target.
 */

import type { Approvals } from "../platform/approvals/index.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Route } from "../platform/http/route.ts";
import type { Sql } from "../stores/sql/port.ts";
import { deploymentRoutes } from "./deployments.routes.ts";
import { Deployments } from "./deployments.ts";
import { Engine, type EngineParts, type EngineSettings } from "./engine.ts";
import { freezeRoutes } from "./freezes.routes.ts";
import { Freezes } from "./freezes.ts";
import type { Narrowing } from "./narrowing.ts";
import { SqlStore } from "./store.ts";

export type { Narrowing } from "./narrowing.ts";
export * from "./target.ts";

/** The folder of the room's migrations. */
export const migrations = new URL("./migrations/", import.meta.url);

export interface DeploymentSettings extends EngineSettings {
  /** Under way at once, of one tenant. */
  activeMax: number;
  freezesMax: number;
}

export interface DeploymentOptions extends Omit<EngineParts, "store"> {
  sql: Sql;
  audit: Pick<Audit, "record">;
  approvals: Approvals;
  settings: DeploymentSettings;
}

export class DeploymentRoom {
  readonly engine: Engine;
  readonly routes: Route[];
  readonly #deployments: Deployments;
  readonly #options: DeploymentOptions;

  constructor(options: DeploymentOptions) {
    const { sql, audit, approvals, makeId, random, settings } = options;
    this.#options = options;
    const store = new SqlStore({ sql, audit, approvals, targetOf: (kind) => this.engine.targetOf(kind) });
    this.engine = new Engine({ ...options, store });
    const { engine } = this;
    const shared = { sql, audit, makeId };
    this.#deployments = new Deployments({
      ...{ ...shared, approvals, engine, random, activeMax: settings.activeMax },
    });
    const freezes = new Freezes({
      ...shared,
      freezesMax: settings.freezesMax,
      onChange: () => engine.poke(),
    });
    this.routes = [...this.narrowed(), ...freezeRoutes(freezes)];
  }

  /** The resource as it is, or below another prefix and for one kind. */
  narrowed(narrowing?: Narrowing): Route[] {
    const { clock, onError } = this.#options;
    return deploymentRoutes(
      { deployments: this.#deployments, engine: this.engine, clock, onError },
      narrowing,
    );
  }
}
