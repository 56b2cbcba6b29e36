/**
 * Nodes that deliver configurations over one real database, with a clock that the test moves, and instances of
 * them.
 */

import type { DeliveryTx } from "../../src/configuration/delivery.tables.ts";
import { Delivery } from "../../src/configuration/delivery.ts";
import { Documents } from "../../src/configuration/documents.ts";
import { migrations } from "../../src/configuration/index.ts";
import type { Heartbeat } from "../../src/configuration/instances.schema.ts";
import { ManualClock } from "../../src/core/clock.ts";
import { idMaker } from "../../src/core/ids.ts";
import { systemRandom } from "../../src/core/random.ts";
import type { Assignment, Version } from "../../src/deployment/target.ts";
import type { Change } from "../../src/platform/audit/index.ts";
import type { Principal } from "../../src/platform/auth/principal.ts";
import { Metrics } from "../../src/platform/telemetry/index.ts";
import { MemoryKv } from "../../src/stores/kv/memory.ts";
import type { SecretStore } from "../../src/stores/secrets/port.ts";
import { loadMigrations } from "../../src/stores/sql/migrations.ts";
import { type TestDatabase, testDatabase } from "../../src/stores/sql/testing.ts";

export const heartbeatMs = 10_000;
const scope = { service: "checkout", environment: "staging" };
export const ann: Principal = {
  ...{ subject: "ann", tenant: "acme", roles: ["admin"], attributes: {} },
  expiresAt: Number.POSITIVE_INFINITY,
};
export const ref = { tenant: "acme", kind: "config", name: "limits" } as const;

const settings = {
  ...{ heartbeatMs, sweepMs: 300_000, pollMs: 2_000, instancesMax: 100_000, streamsMax: 1_000 },
  ...{ connectsPerSecond: 1_000, inlineBytes: 16_384, pendingBytesMax: 262_144 },
  ...{ approvalEnvironments: ["production"], textLimitBytes: 262_144, configsMax: 100, versionsMax: 100 },
  ...{ importLimitBytes: 1_000_000, jsonDepthLimit: 64 },
};

export class Fleet {
  readonly clock = new ManualClock();
  readonly audited: Change[] = [];
  readonly errors: unknown[] = [];
  readonly database: TestDatabase;
  readonly nodes: Delivery[] = [];
  readonly versions: Version[] = [];

  constructor(database: TestDatabase) {
    this.database = database;
  }

  /** The configuration `limits` with this many versions, of which `current` is in force. */
  static async open(nodes: number, versions: number, current: number | null): Promise<Fleet> {
    const fleet = new Fleet(await testDatabase(await loadMigrations("configuration", migrations)));
    for (let n = 0; n < nodes; n++) await fleet.addNode();
    await fleet.database.sql.tenant("acme", async (tx: DeliveryTx) => {
      const now = new Date(fleet.clock.now());
      await tx
        .insertInto("configs")
        .values({
          ...{ tenant_id: "acme", name: "limits", ...scope, format: "json", description: "", labels: "{}" },
          ...{ schema_subject: null, schema_version: null, current_version: current },
          ...{ created_at: now, updated_at: now },
        })
        .execute();
      for (let version = 1; version <= versions; version++) {
        const hash = `hash-${version}`;
        fleet.versions.push({ id: String(version), hash });
        await tx
          .insertInto("config_versions")
          .values({
            ...{
              tenant_id: "acme",
              config: "limits",
              version,
              hash,
              text: "",
              value: JSON.stringify({ version }),
            },
            ...{ note: "", author: "ann", parent: null, schema_subject: null, schema_version: null },
            ...{ secrets: "[]", origin: null, created_at: now },
          })
          .execute();
      }
    });
    return fleet;
  }

  async addNode(): Promise<Delivery> {
    const { clock, database } = this;
    const { sql } = database;
    const makeId = idMaker(clock, systemRandom);
    const audit = { record: async (_tx: unknown, change: Change) => void this.audited.push(change) };
    const onError = (error: unknown) => void this.errors.push(error);
    const never = () => Promise.reject(new Error("not used here"));
    const secrets: SecretStore = {
      ...{ name: "secrets", start: never, stop: never },
      ...{ get: never, set: never, delete: never, list: never },
    };
    const documents = new Documents({
      ...{ sql, audit, clock, makeId, settings, onError, metrics: new Metrics(), secrets },
      approvals: { notices: { add: never } as never },
      schemas: { inForce: never, addUser: () => {} },
    });
    const node = new Delivery({
      ...{
        sql,
        audit,
        secrets,
        clock,
        makeId,
        random: systemRandom,
        metrics: new Metrics(),
        settings,
        documents,
        onError,
      },
      kv: new MemoryKv({ clock }), // one each: they know of one another by SQL only
    });
    await node.start();
    this.nodes.push(node);
    return node;
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.stop();
    await this.database.close();
  }

  get target() {
    return this.nodes[0]!.target;
  }

  register(id: string, more: object = {}, node = this.nodes[0]!) {
    const registered = node.instances.register(ann, { instanceId: id, ...scope, ...more });
    this.clock.advance(10); // upon which it is written
    return registered;
  }

  async registerAll(count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, (_, n) => `i-${n}`);
    const all = ids.map((instanceId) => this.nodes[0]!.instances.register(ann, { instanceId, ...scope }));
    this.clock.advance(10);
    await Promise.all(all);
    return ids;
  }

  beat(id: string, beat: Heartbeat = {}, node = this.nodes[0]!) {
    return node.instances.heartbeat(ann, id, beat);
  }

  /** A heartbeat that says that it runs this, with counts if given. */
  runs(id: string, version: number | null, metrics?: Heartbeat["metrics"], node = this.nodes[0]!) {
    const applied = [{ config: "limits", version, status: "applied" }] as Heartbeat["applied"];
    return this.beat(id, { applied, ...(metrics && { metrics }) } as Heartbeat, node);
  }

  rejects(id: string, version: number, reason: string) {
    return this.beat(id, { applied: [{ config: "limits", version, status: "rejected", reason }] });
  }

  assignment(bound: number, generation: number, more: Partial<Assignment> = {}): Assignment {
    const [from, to] = this.versions as [Version, Version];
    return { seed: "seed", bound, from, to, generation, deployment: "d1", ...more };
  }
}

/** What an answer says of `limits`. */
export const wanted = (answer: { configs: readonly { config: string; version: number | null }[] }) =>
  answer.configs.find(({ config }) => config === "limits")?.version;
