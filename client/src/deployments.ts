/** Deployments: a version step by step into force, watched and taken back when it hurts. */
import { isTransient } from "./problem.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export type DeploymentStrategy = "direct" | "canary" | "rolling" | "blue-green" | "ab" | "emergency";
export type DeploymentStatus =
  | "pending"
  | "running"
  | "held"
  | "rolling_back"
  | "succeeded"
  | "rolled_back"
  | "cancelled"
  | "failed";

/** What is not named here is in openapi.json. Times in seconds, shares in percent. */
export interface NewDeployment {
  kind: "config" | "route";
  config?: string;
  version?: number | string;
  /** A route's id or name. */
  route?: string;
  /** The route's new fields, as a JSON merge patch; not `name`, `match`, `priority` and `enabled`. */
  change?: Record<string, unknown>;
  /** What tells callers of a route apart; default their address. */
  unit?: { header: string } | { cookie: string };
  /** Requests with it get the route's new version, whatever the share. */
  testHeader?: { name: string; value: string };
  strategy?: DeploymentStrategy;
  phases?: number[];
  curve?: { kind: "linear" | "exponential"; growth: number };
  bakeSeconds?: number;
  bakeMaxSeconds?: number;
  analysis?: Record<string, unknown>;
  failureBudget?: number;
  manual?: boolean;
  startAt?: string;
  group?: string;
  onConflict?: "queue" | "supersede";
  note?: string;
  [member: string]: unknown;
}

export interface DeploymentSummary {
  id: string;
  kind: string;
  target: string;
  /** As people know it: of a route, the name that it had. */
  targetName: string;
  environment: string | null;
  strategy: DeploymentStrategy;
  summary: string;
  note: string | null;
  status: DeploymentStatus;
  phase: number;
  phases: number;
  /** Percent of units that should have the new version. */
  share: number;
  holdReasons: string[];
  version: { id: string; hash: string };
  from: { id: string; hash: string } | null;
  group: string | null;
  createdBy: string;
  createdAt: string;
  startedAt: string | null;
  endedAt: string | null;
}

/** Of one metric, since the exposure began. */
export interface MetricEvidence {
  name: string;
  canary: { requests: number; events: number; rate: number | null };
  control: { requests: number; events: number; rate: number | null };
  eValue: number;
  threshold: number;
  /** At most so much worse, as a share of requests; null without requests. */
  bound: number | null;
  allowed: number;
}

export interface CohortCounts {
  requests: number;
  errors: number;
  [member: string]: unknown;
}

/** What was measured of both versions in one interval, and what the judge said then. */
export interface DeploymentHealth {
  number: number;
  at: string;
  canary: CohortCounts;
  control: CohortCounts;
  latencyBoundsMs?: number[];
  verdict: { outcome: string; reasons: string[] } | null;
}

export interface DeploymentVerdict {
  at: string;
  step: number;
  outcome: "pass" | "fail" | "insufficient" | "inconclusive";
  reasons: string[];
  winner?: string;
  comparison?: string;
  evidence?: MetricEvidence[];
}

export interface DeploymentProgress {
  at: string;
  units: number;
  exposed: number;
  applied: number;
  restored: number;
  failed: number;
  failures: { unit: string; reason: string }[];
}

export interface Deployment extends DeploymentSummary {
  holds: { reason: string; since: string; detail: string | null }[];
  step: { index: number; kind: string; since: string } | null;
  verdicts: DeploymentVerdict[];
  progress: DeploymentProgress | null;
  plan: Record<string, unknown>[];
  rollback: { cause: string; reason: string; by: string | null; at: string } | null;
  detail: string | null;
  /** Whether there is too little traffic to judge by. */
  hint: string | null;
  trouble: { since: string; attempts: number; message: string } | null;
  approvalId: string | null;
}

/** `progress` has no `seq`: it is news, and comes anew after a reconnect. */
export interface DeploymentEvent {
  type: string;
  seq?: number;
  at?: string;
  [member: string]: unknown;
}

/** Of one version, since the deployment began. */
export interface CohortTotals {
  requests: number;
  errors: number;
  errorRate: number | null;
  latencyMs: { p50: number; p95: number; p99: number } | null;
}

export interface DeploymentMetrics {
  status: DeploymentStatus;
  share: number;
  /** The new version. */
  canary: CohortTotals;
  /** The old one, at the same time. */
  control: CohortTotals;
}

export interface DeploymentFilter {
  kind?: string | undefined;
  target?: string | undefined;
  environment?: string | undefined;
  group?: string | undefined;
  status?: DeploymentStatus | "active" | undefined;
}

export interface NewFreeze {
  kind?: string;
  environment?: string;
  target?: string;
  /** Default: now. */
  from?: string;
  to: string;
  reason: string;
}

export interface Freeze {
  id: string;
  kind: string | null;
  environment: string | null;
  target: string | null;
  from: string;
  to: string;
  reason: string;
  createdBy: string;
  createdAt: string;
}

export interface HealthOptions extends CallOptions {
  after?: number | undefined;
  last?: number | undefined;
}

const forEver = 0x7fffffff;

export class Deployments {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  create(body: NewDeployment, options: CallOptions & { dryRun?: boolean } = {}): Promise<Deployment> {
    const { dryRun = false, ...rest } = options;
    return this.#post("/api/v1/deployments", body, { query: { dryRun }, ...rest });
  }

  /** Newest first. */
  list({
    signal,
    timeoutMs,
    ...query
  }: DeploymentFilter & PageOptions = {}): Promise<Page<DeploymentSummary>> {
    return this.#transport.json({
      ...{ method: "GET", path: "/api/v1/deployments", query: { ...query }, signal, timeoutMs },
    });
  }

  get(id: string, options: CallOptions = {}): Promise<Deployment> {
    return this.#transport.json({ method: "GET", path: path`/api/v1/deployments/${id}`, ...options });
  }

  /** Requests, errors and latencies of both versions. */
  metrics(id: string, options: CallOptions = {}): Promise<DeploymentMetrics> {
    return this.#transport.json({
      ...{ method: "GET", path: path`/api/v1/deployments/${id}/metrics`, ...options },
    });
  }

  pause(id: string, reason?: string, options: CallOptions = {}): Promise<Deployment> {
    return this.#post(path`/api/v1/deployments/${id}/pause`, { reason }, options);
  }

  resume(id: string, options: CallOptions = {}): Promise<Deployment> {
    return this.#post(path`/api/v1/deployments/${id}/resume`, {}, options);
  }

  promote(
    id: string,
    { full = false, reason }: { full?: boolean; reason?: string | undefined } = {},
    options: CallOptions = {},
  ): Promise<Deployment> {
    return this.#post(path`/api/v1/deployments/${id}/promote`, { full, reason }, options);
  }

  rollback(id: string, reason: string, options: CallOptions = {}): Promise<Deployment> {
    return this.#post(path`/api/v1/deployments/${id}/rollback`, { reason }, options);
  }

  /** The answer's `approvalId` is what another person must approve. */
  breakGlass(id: string, reason: string, options: CallOptions = {}): Promise<Deployment> {
    return this.#post(path`/api/v1/deployments/${id}/break-glass`, { reason }, options);
  }

  /** What has happened to it so far, oldest first. */
  async pastEvents(id: string, options: CallOptions = {}): Promise<DeploymentEvent[]> {
    const target = path`/api/v1/deployments/${id}/events`;
    type Answer = { items: DeploymentEvent[] };
    const headers = { accept: "application/json" };
    const query = { limit: 1_000 };
    return (await this.#transport.json<Answer>({ method: "GET", path: target, headers, query, ...options }))
      .items;
  }

  /**
   * Samples with the verdict after each, oldest first: all of them, those after a number that is known already, or
   * only so many of the last (at most 1,000).
   */
  async health(id: string, { after, last, ...options }: HealthOptions = {}): Promise<DeploymentHealth[]> {
    const read = (query: Record<string, string | number | undefined>) =>
      this.#transport.json<Page<DeploymentHealth>>({
        ...{ method: "GET", path: path`/api/v1/deployments/${id}/health`, query: { after, ...query } },
        ...options,
      });
    if (last !== undefined) return (await read({ order: "newest", limit: last })).items.reverse();
    const samples: DeploymentHealth[] = [];
    const all = this.#transport.items<DeploymentHealth>((cursor) => read({ cursor, limit: 1_000 }));
    for await (const sample of all) samples.push(sample);
    return samples;
  }

  /** Everything that happens to it, from the beginning to its end; a lost connection is made again. */
  async *events(id: string, { signal, after = 0 }: { signal?: AbortSignal; after?: number } = {}) {
    let last = after;
    for (let attempt = 0; ; attempt++) {
      try {
        for await (const event of this.#eventsFrom(id, last, signal)) {
          attempt = 0;
          last = event.seq ?? last;
          yield event;
          if (event.type === "ended") return;
        }
        if ((await this.get(id, { signal })).endedAt !== null) return; // and it was told of before
      } catch (error) {
        if (!isTransient(error) || attempt + 1 >= this.#transport.retry.attempts) throw error;
        await this.#transport.pause(attempt, error, signal);
      }
    }
  }

  async *#eventsFrom(id: string, last: number, signal?: AbortSignal): AsyncGenerator<DeploymentEvent> {
    const response = await this.#transport.open({
      ...{ method: "GET", path: path`/api/v1/deployments/${id}/events`, signal, timeoutMs: forEver },
      headers: { accept: "text/event-stream", "last-event-id": String(last) },
    });
    let text = "";
    for await (const chunk of response.chunks()) {
      const blocks = (text + chunk).split("\n\n");
      text = blocks.pop()!;
      for (const block of blocks) {
        const type = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (type !== undefined && data !== undefined) yield { ...JSON.parse(data), type };
      }
    }
  }

  freeze(freeze: NewFreeze, options: CallOptions = {}): Promise<Freeze> {
    return this.#post("/api/v1/freezes", freeze, options);
  }

  freezes(options: PageOptions = {}): Promise<Page<Freeze>> {
    const { signal, timeoutMs, ...query } = options;
    return this.#transport.json({
      method: "GET",
      path: "/api/v1/freezes",
      query: { ...query },
      signal,
      timeoutMs,
    });
  }

  endFreeze(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/freezes/${id}`, ...options });
  }

  #post<Answer>(
    target: string,
    body: unknown,
    options: CallOptions & { query?: Record<string, boolean> },
  ): Promise<Answer> {
    const keyed = { headers: idempotencyKey(), idempotent: true } as const;
    return this.#transport.json({ method: "POST", path: target, body, ...keyed, ...options });
  }
}
