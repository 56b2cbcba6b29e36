/**
 * What is told of a request afterwards: its ids, its moments, its attempts; written as a line of the access log, and
 * for some as a record for `explain` and for spans. Used again for each request of a connection.
 */
import type { ErrorCode } from "../../core/catalogue.ts";
import type { Backend } from "./backend.ts";
import type { Weighted } from "./balance.ts";
import type { ProxyContext } from "./context.ts";
import { F } from "./http1/grammar.ts";
import type { Head } from "./http1/head.ts";
import { attemptSpanId, isRequestId, parseTraceparent } from "./ids.ts";
import type { AttemptRecord, Candidate, RequestRecord, ResponseFlag } from "./records.ts";
import type { Route } from "./route.ts";

/** The rest of what is told; the exchange has it. */
export interface Told {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly target: string;
  readonly protocol: "1.0" | "1.1" | "2";
  readonly client: string;
  readonly subject: string | undefined;
  readonly route: Route | undefined;
  readonly variant: string | undefined;
  readonly backend: Backend | undefined;
  readonly status: number;
  readonly code: ErrorCode | undefined;
  readonly flags: readonly ResponseFlag[];
  readonly requestBytes: number;
  readonly responseBytes: number;
  header(name: string): string | undefined;
}

export class Trace {
  requestId = "";
  traceId = "";
  spanId = "";
  isSampled = false;
  startedAt = 0;
  decidedAt = 0;
  attemptAt = 0;
  connectedAt = 0;
  firstByteAt = 0;
  attempts = 0;
  readonly #context: ProxyContext;
  #parentSpanId = "";
  #isDetailed = false;
  #candidates: Candidate[] | undefined;
  #records: AttemptRecord[] | undefined;
  /** Of the last attempt that failed. */
  #failed: AttemptRecord | undefined;

  constructor(context: ProxyContext) {
    this.#context = context;
  }

  begin(head: Head, now: number): void {
    const context = this.#context;
    const { ids } = context;
    this.startedAt = now;
    this.decidedAt = 0;
    this.connectedAt = 0;
    this.firstByteAt = 0;
    this.attempts = 0;
    this.#candidates = undefined;
    this.#records = undefined;
    this.#failed = undefined;
    this.#isDetailed = context.takeDetail();
    const given = head.find(F.requestId);
    const traceparent = head.find(F.traceparent);
    const parent = traceparent < 0 ? undefined : parseTraceparent(head.value(traceparent));
    this.traceId = parent ? parent.traceId : ids.trace();
    this.#parentSpanId = parent ? parent.spanId : "";
    this.spanId = ids.span();
    this.isSampled = parent ? parent.sampled : context.takeSample();
    const requestId = given < 0 ? "" : head.value(given);
    this.requestId = requestId !== "" && isRequestId(requestId) ? requestId : this.traceId;
  }

  /** It is the caller's trace. */
  get isContinued(): boolean {
    return this.#parentSpanId !== "";
  }

  /** The span that a backend's own are within: that of the attempt, where it is told of. */
  parentFor(attempt: number): string {
    return this.isSampled ? attemptSpanId(this.spanId, attempt) : this.spanId;
  }

  attempt(now: number): void {
    this.attempts++;
    this.attemptAt = now;
    this.connectedAt = 0;
    this.firstByteAt = 0;
  }

  choose(targets: readonly Weighted<Backend>[], now: number): void {
    if (this.#isDetailed) this.#candidates = candidatesOf(targets, now);
  }

  /** The present attempt has failed: with a status, or with what was wrong. */
  fail(backend: Backend, now: number, how: Pick<AttemptRecord, "status" | "flag" | "problem">): void {
    this.#note(backend, now, how);
    this.#failed = this.#records!.at(-1);
  }

  #note(backend: Backend, now: number, how: Pick<AttemptRecord, "status" | "flag" | "problem">): void {
    const record: AttemptRecord = {
      backend: backend.id,
      address: backend.endpoint.authority,
      startMs: this.attemptAt - this.startedAt,
      endMs: now - this.startedAt,
      ...(this.connectedAt > 0 && { connectMs: this.connectedAt - this.attemptAt }),
      ...(this.firstByteAt > 0 && { firstByteMs: this.firstByteAt - this.startedAt }),
      ...how,
    };
    this.#records = [...(this.#records ?? []), record];
  }

  tell(told: Told, now: number): void {
    if (this.#context.log) this.#log(told, now);
    if (this.#isDetailed || this.isSampled || told.flags.length > 0) this.#record(told, now);
  }

  #log(told: Told, now: number): void {
    const log = this.#context.log!;
    log.write({
      at: this.#context.wallAt(this.startedAt),
      client: told.client,
      subject: told.subject ?? "",
      method: told.method,
      host: told.host,
      target: told.target,
      protocol: told.protocol,
      status: told.status,
      flags: told.flags,
      requestBytes: told.requestBytes,
      responseBytes: told.responseBytes,
      totalMs: now - this.startedAt,
      connectMs: this.connectedAt > 0 ? this.connectedAt - this.attemptAt : -1,
      firstByteMs: this.firstByteAt > 0 ? this.firstByteAt - this.startedAt : -1,
      route: told.route ? told.route.settings.name : "",
      variant: told.variant ?? "",
      backend: told.backend ? told.backend.endpoint.authority : (this.#failed?.address ?? ""),
      problem: this.#failed?.problem ?? "",
      attempts: this.attempts,
      requestId: this.requestId,
      traceId: this.traceId,
      referer: log.wantsHeaders ? (told.header("referer") ?? "-") : "",
      userAgent: log.wantsHeaders ? (told.header("user-agent") ?? "-") : "",
    });
  }

  #record(told: Told, now: number): void {
    const context = this.#context;
    const { route, variant, subject, backend } = told;
    if (backend) this.#note(backend, now, { status: told.status });
    const record: RequestRecord = {
      id: this.requestId,
      traceId: this.traceId,
      spanId: this.spanId,
      ...(this.#parentSpanId !== "" && { parentSpanId: this.#parentSpanId }),
      at: context.wallAt(this.startedAt),
      worker: context.worker,
      revision: context.revision,
      method: told.method,
      host: told.host,
      path: told.path,
      protocol: told.protocol,
      client: told.client,
      ...(subject !== undefined && { subject }),
      ...(route && { route: route.id, tenant: route.settings.tenant }),
      ...(variant !== undefined && { variant }),
      status: told.status,
      ...(told.code !== undefined && { code: told.code }),
      flags: told.flags,
      requestBytes: told.requestBytes,
      responseBytes: told.responseBytes,
      totalMs: now - this.startedAt,
      decidedMs: (this.decidedAt > 0 ? this.decidedAt : now) - this.startedAt,
      ...(this.#candidates && { candidates: this.#candidates }),
      attempts: this.#records ?? [],
    };
    context.keep(record, this.isSampled);
  }
}

const CANDIDATES_MAX = 16;

function candidatesOf(targets: readonly Weighted<Backend>[], now: number): Candidate[] {
  return targets.slice(0, CANDIDATES_MAX).map(({ backend, weight }) => {
    const usable = backend.admits(now) && backend.isFit(now);
    const { id, inFlight } = backend;
    return { backend: id, weight, inFlight, usable, ...(!usable && { reason: reasonOf(backend, now) }) };
  });
}

function reasonOf(backend: Backend, now: number): string {
  if (backend.settings.draining) return "draining";
  const { breaker, ejected } = backend.state(now);
  return breaker !== "closed" ? "open" : ejected ? "ejected" : "unhealthy";
}
