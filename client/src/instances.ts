/**
 * Instances of services that take configurations: who is there, what each should run, and what it says that it
 * runs.
 */
import type { ChangeOptions } from "./gateway.ts";
import {
  type CallOptions,
  idempotencyKey,
  type Page,
  type PageOptions,
  path,
  type Transport,
} from "./transport.ts";

export interface NewInstance {
  /** The same over restarts: the name of a host or a pod. */
  instanceId: string;
  service: string;
  environment: string;
  labels?: Record<string, string>;
  /** Another one for each start of the process. */
  process?: string;
}

/** What an instance should have; a null version is none any more. */
export interface Desired {
  config: string;
  version: number | null;
  hash: string | null;
  revision: number;
  /** That brings the version out. */
  deployment: string | null;
  /** W3C, of the step of the deployment. */
  traceparent?: string;
}

export interface TrialRequest {
  id: string;
  config: string;
  /** Null: a draft. */
  version: number | null;
  hash: string;
}

export interface InstanceAnswer {
  configs: Desired[];
  trials: TrialRequest[];
  heartbeatSeconds: number;
}

export interface Registered extends InstanceAnswer {
  instanceId: string;
  service: string;
  environment: string;
  labels: Record<string, string>;
  registeredAt: string;
}

/** Since the last heartbeat. */
export interface InstanceCounts {
  requests: number;
  errors: number;
  slow?: number;
  custom?: Record<string, number>;
}

export interface AppliedReport {
  config: string;
  version: number | null;
  status: "applied" | "rejected";
  reason?: string;
}

export interface InstanceHeartbeat {
  applied?: AppliedReport[];
  metrics?: InstanceCounts;
  trials?: { id: string; ok: boolean; reason?: string }[];
}

export interface InstanceConfig {
  config: string;
  desired: number | null;
  running: number | null;
  appliedAt: string | null;
  status: "applied" | "pending" | "rejected";
  rejected?: { version: number; reason: string; at: string };
}

export interface Instance {
  instanceId: string;
  service: string;
  environment: string;
  labels: Record<string, string>;
  status: "live" | "silent";
  registeredAt: string;
  seenAt: string;
  configs: InstanceConfig[];
}

export interface InstanceFilter {
  service?: string | undefined;
  environment?: string | undefined;
  config?: string | undefined;
  /** Those that run this version of `config`. */
  version?: number | undefined;
  status?: "live" | "silent" | "applied" | "rejected" | undefined;
}

/** A version as an instance gets it, with secrets in their places. */
export interface DeliveredDocument<Value = unknown> {
  config: string;
  version: number;
  hash: string;
  revision: number;
  format: string;
  value: Value;
}

/** What a trial is of; a null version is a draft. */
export type TriedDocument<Value = unknown> = Omit<DeliveredDocument<Value>, "version"> & {
  version: number | null;
};

export interface Pin {
  labels: Record<string, string>;
  version: number;
  reason: string;
  by: string;
  at: string;
}

/** What live instances say of a version or a draft that they do not run. */
export interface Trial {
  id: string;
  /** Null: a draft. */
  version: number | null;
  draft: { author: string; revision: number } | null;
  /** "done": everybody has answered. */
  status: "asking" | "done" | "expired";
  asked: number;
  accepted: number;
  rejected: number;
  answers: { instanceId: string; ok: boolean; reason: string }[];
  silent: string[];
  by: string;
  at: string;
  expiresAt: string;
}

export class Instances {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  register(instance: NewInstance, options: CallOptions = {}): Promise<Registered> {
    return this.#transport.json({
      ...options,
      ...{ method: "POST", path: "/api/v1/instances", body: instance, idempotent: true },
    });
  }

  /** Fails with `instance_not_found` when it has to register again. */
  heartbeat(id: string, beat: InstanceHeartbeat, options: CallOptions = {}): Promise<InstanceAnswer> {
    return this.#transport.json({
      ...options,
      ...{ method: "POST", path: path`/api/v1/instances/${id}/heartbeat`, body: beat },
    });
  }

  deregister(id: string, options: CallOptions = {}): Promise<void> {
    return this.#transport.json({
      ...options,
      ...{ method: "DELETE", path: path`/api/v1/instances/${id}`, idempotent: true },
    });
  }

  /** What a trial is of. */
  tried<Value = unknown>(
    id: string,
    { config, id: trial }: Pick<TrialRequest, "config" | "id">,
    options: CallOptions = {},
  ): Promise<TriedDocument<Value>> {
    return this.#transport.json({
      ...options,
      ...{ method: "GET", path: path`/api/v1/instances/${id}/configs/${config}`, query: { trial } },
    });
  }

  /** What the instance should run now; with `version` one that a trial names. */
  document<Value = unknown>(
    id: string,
    config: string,
    { version, ...options }: CallOptions & { version?: number } = {},
  ): Promise<DeliveredDocument<Value>> {
    return this.#transport.json({
      ...options,
      ...{ method: "GET", path: path`/api/v1/instances/${id}/configs/${config}`, query: { version } },
    });
  }

  list({
    limit,
    cursor,
    signal,
    timeoutMs,
    ...filter
  }: InstanceFilter & PageOptions = {}): Promise<Page<Instance>> {
    const query = { ...filter, limit, cursor };
    return this.#transport.json({ method: "GET", path: "/api/v1/instances", query, signal, timeoutMs });
  }

  all(filter: InstanceFilter = {}): AsyncGenerator<Instance> {
    return this.#transport.items((cursor) => this.list({ ...filter, cursor }));
  }

  get(id: string, options: CallOptions = {}): Promise<Instance> {
    return this.#transport.json({ ...options, method: "GET", path: path`/api/v1/instances/${id}` });
  }

  /** The most specific first. */
  pins(config: string, options: CallOptions = {}): Promise<{ items: Pin[] }> {
    return this.#transport.json({ ...options, method: "GET", path: path`/api/v1/configs/${config}/pins` });
  }

  /** Instances with these labels have this version from now on, whatever is deployed. */
  pin(
    config: string,
    pin: { labels: Record<string, string>; version: number; reason?: string },
    { dryRun, ...options }: ChangeOptions = {},
  ): Promise<{ items: Pin[] }> {
    return this.#transport.json({
      ...options,
      ...{ method: "PUT", path: path`/api/v1/configs/${config}/pins`, query: { dryRun }, body: pin },
      idempotent: true,
    });
  }

  /** Takes the pin of exactly these labels away, or all of them. */
  unpin(
    config: string,
    labels?: Record<string, string>,
    { dryRun, ...options }: ChangeOptions = {},
  ): Promise<{ items: Pin[] }> {
    const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`);
    return this.#transport.json({
      ...options,
      ...{ method: "DELETE", path: path`/api/v1/configs/${config}/pins` },
      query: { dryRun, ...(labels && { labels: pairs.join(",") }) },
    });
  }

  /** Asks live instances whether they would take the version; they apply nothing. */
  beginTrial(
    config: string,
    version: number,
    { instances, ...options }: CallOptions & { instances?: number } = {},
  ): Promise<Trial> {
    return this.#transport.json({
      ...options,
      ...{ method: "POST", path: path`/api/v1/configs/${config}/versions/${String(version)}/trial` },
      ...{ body: { ...(instances !== undefined && { instances }) }, headers: idempotencyKey() },
      idempotent: true,
    });
  }

  /** The same of the caller's own draft, as it is saved. It must be fit to be a version. */
  beginDraftTrial(
    config: string,
    { instances, ...options }: CallOptions & { instances?: number } = {},
  ): Promise<Trial> {
    return this.#transport.json({
      ...options,
      ...{ method: "POST", path: path`/api/v1/configs/${config}/draft/trial` },
      ...{ body: { ...(instances !== undefined && { instances }) }, headers: idempotencyKey() },
      idempotent: true,
    });
  }

  /** Of the caller's own drafts, the newest first. */
  draftTrials(config: string, options: CallOptions = {}): Promise<{ items: Trial[] }> {
    return this.#transport.json({
      ...options,
      ...{ method: "GET", path: path`/api/v1/configs/${config}/draft/trials` },
    });
  }

  /** Also those of a draft that said the same. The newest first. */
  trials(config: string, version: number, options: CallOptions = {}): Promise<{ items: Trial[] }> {
    return this.#transport.json({
      ...options,
      ...{ method: "GET", path: path`/api/v1/configs/${config}/versions/${String(version)}/trials` },
    });
  }
}
