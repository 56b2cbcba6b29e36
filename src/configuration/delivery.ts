/**
 * Bringing configurations to instances: who is there, who should have what, telling them, and what they say. Documents
 * are another matter (documents.ts); this reads their versions and moves `current_version` at the end of a deployment.
 */
import type { Clock, Timer } from "../core/clock.ts";
import type { MakeId } from "../core/ids.ts";
import { Lifecycle, type Service } from "../core/lifecycle.ts";
import type { Random } from "../core/random.ts";
import type { Audit } from "../platform/audit/index.ts";
import type { Route } from "../platform/http/route.ts";
import type { Metrics } from "../platform/telemetry/index.ts";
import type { Kv } from "../stores/kv/index.ts";
import type { Sql } from "../stores/sql/port.ts";
import type { DeliveryTx } from "./delivery.tables.ts";
import type { Documents } from "./documents.ts";
import { FlagStreams } from "./flag-streams.ts";
import { FlagTickets } from "./flag-tickets.ts";
import { Hub } from "./hub.ts";
import { instanceRoutes } from "./instances.routes.ts";
import { deleteSilent } from "./instances.sql.ts";
import { Instances } from "./instances.ts";
import { DeliveryMetrics } from "./metrics.ts";
import { ofrepRoutes } from "./ofrep.routes.ts";
import { Ofrep } from "./ofrep.ts";
import { Payloads } from "./payloads.ts";
import { pinRoutes } from "./pins.routes.ts";
import { Pins } from "./pins.ts";
import { Reports } from "./reports.ts";
import { Streams } from "./streams.ts";
import { ConfigTarget } from "./target.ts";
import { trialRoutes } from "./trials.routes.ts";
import { deleteTrials } from "./trials.sql.ts";
import { Trials } from "./trials.ts";

export interface DeliverySettings {
  heartbeatMs: number;
  sweepMs: number;
  pollMs: number;
  instancesMax: number;
  streamsMax: number;
  connectsPerSecond: number;
  inlineBytes: number;
  pendingBytesMax: number;
}

export interface DeliveryOptions {
  sql: Sql;
  kv: Kv;
  audit: Pick<Audit, "record">;
  clock: Clock;
  makeId: MakeId;
  random: Random;
  metrics: Metrics;
  settings: DeliverySettings;
  documents: Documents;
  onError: (error: unknown) => void;
}

const provingHeartbeats = 3;
const sweepIntervalMs = 5_000;
const trialsKeptMs = 30 * 86_400_000;

export class Delivery implements Service {
  readonly name = "configuration delivery";
  readonly routes: Route[];
  readonly target: ConfigTarget;
  readonly hub: Hub;
  readonly instances: Instances;
  readonly #options: DeliveryOptions;
  /** Who listens to changes of flags is known by one. */
  readonly flagTickets: FlagTickets;
  readonly #flagStreams: FlagStreams;
  readonly #reports: Reports;
  readonly #streams: Streams;
  readonly #lifecycle = new Lifecycle();
  #timer: Timer | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { sql, kv, audit, clock, makeId, random, settings, documents, onError } = options;
    const { heartbeatMs, instancesMax, connectsPerSecond, streamsMax, pendingBytesMax } = settings;
    const metrics = new DeliveryMetrics(options.metrics, clock);
    metrics.watch(sql);
    const resolveSecrets = documents.resolveSecrets.bind(documents);
    const payloads = new Payloads({ sql, clock, resolveSecrets });
    const { pollMs, inlineBytes } = settings;
    const onTold = metrics.told.bind(metrics);
    const hub = new Hub({ sql, kv, clock, payloads, pollMs, inlineBytes, onTold, onError });
    const onChanged = (tenant: string, id: string, changedAt: Date | undefined) =>
      instances.refreshed(tenant, id, changedAt);
    const provingMs = provingHeartbeats * heartbeatMs;
    const reports = new Reports({ sql, clock, instancesMax, provingMs, onChanged, onError });
    const streams = new Streams({
      ...{ hub, clock, random, metrics, heartbeatMs, onError },
      ...{ connectsPerSecond, streamsMax, pendingBytesMax },
    });
    const onGone = (tenant: string, id: string) => streams.end(tenant, id);
    const instances = new Instances({
      ...{ sql, audit, clock, hub, payloads, reports, metrics, heartbeatMs, onGone },
    });
    const shared = { sql, audit, clock, hub, heartbeatMs, makeId, reports };
    this.flagTickets = new FlagTickets(sql, clock);
    this.#flagStreams = new FlagStreams({ hub, clock, random, streamsMax, pendingBytesMax });
    this.target = new ConfigTarget({ ...shared, documents });
    documents.addUser(this.target);
    this.routes = [
      ...instanceRoutes(instances, streams),
      ...pinRoutes(new Pins({ ...shared, needsApproval: documents.needsApproval })),
      ...trialRoutes(new Trials({ ...shared, drafts: documents.drafts })),
      ...ofrepRoutes({
        ...{ ofrep: new Ofrep({ documents, hub, payloads, clock }), tickets: this.flagTickets },
        streams: this.#flagStreams,
      }),
    ];
    this.hub = hub;
    this.instances = instances;
    this.#reports = reports;
    this.#streams = streams;
  }

  async start(): Promise<void> {
    for (const service of [this.#reports, this.hub, this.#streams, this.#flagStreams])
      await this.#lifecycle.start(service);
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#sweeping;
    await this.#lifecycle.stop();
  }

  #arm(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(sweepIntervalMs, () => {
      this.#sweeping = this.#sweep()
        .catch(this.#options.onError)
        .then(() => this.#arm());
    });
  }

  /** Instances that are silent for long go; never when their heartbeats could not have been taken. */
  async #sweep(): Promise<void> {
    const { sql, clock, settings } = this.#options;
    const now = clock.now();
    await sql.system(async (tx: DeliveryTx) => {
      if (this.#reports.soundMs > settings.sweepMs) await deleteSilent(tx, new Date(now - settings.sweepMs));
      await deleteTrials(tx, new Date(now - trialsKeptMs));
    });
  }
}
