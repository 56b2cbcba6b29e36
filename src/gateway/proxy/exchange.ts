/**
 * One request and its answer: route, policies, attempts at backends, the answer on its way back. A client connection
 * has one exchange that it uses again and again; `#turn` tells a callback of an earlier request from one of this.
 *
 *   begin ─▶ (policies) ─▶ attempt ─▶ waiting ─▶ answering ─▶ finished
 *                            ▲           │ failed, and may be tried again
 *                            └─ back-off ┘
 *
 * Nothing of an answer is sent before its head is there and accepted; from then on a failure can only cut the
 * connection, so that the client never takes a part for the whole.
 */
import type { ErrorCode } from "../../core/catalogue.ts";
import { positionOf } from "../../core/cohort.ts";
import { type Answer, answerText } from "./answer.ts";
import { AnswerWriter } from "./answer-writer.ts";
import type { Backend } from "./backend.ts";
import type { Asker } from "./balance.ts";
import type { CohortCounts } from "./cohorts.ts";
import type { ProxyContext } from "./context.ts";
import { type Admission, isRefused, type Refused, type Verdict } from "./guard.ts";
import { cookieIn, fieldIn } from "./http1/find.ts";
import { HOP_BY_HOP } from "./http1/grammar.ts";
import type { Head } from "./http1/head.ts";
import { REFUSALS, type Refusal } from "./http1/refusal.ts";
import { fieldsOf, lastChunk } from "./http1/write.ts";
import { queryValue, type Subject } from "./matcher.ts";
import { mirror } from "./mirror.ts";
import { Outgoing, type RequestBody } from "./outgoing.ts";
import { matchedPath } from "./path.ts";
import type { Client } from "./peer.ts";
import type { ResponseFlag } from "./records.ts";
import { backoffMs } from "./retry.ts";
import { type Division, type Route, TO_CLIENT } from "./route.ts";
import { type Told, Trace } from "./trace.ts";
import type { Framing, Reply, Upstream } from "./upstream.ts";

type State = "idle" | "deciding" | "waiting" | "answering" | "tunnel";

const NO_FLAGS: readonly ResponseFlag[] = [];
const NO_BACKENDS: readonly Backend[] = [];

export class Exchange implements Reply, Asker, Subject, Told {
  isHead = false;
  /** All of the request was given to the backend. */
  isSent = true;
  method = "";
  host = "";
  /** As it is matched. */
  path = "/";
  /** As it came. */
  target = "";
  client = "";
  state: State = "idle";
  route: Route | undefined;
  backend: Backend | undefined;
  flags: readonly ResponseFlag[] = NO_FLAGS;
  /** Bytes of bodies so far. */
  requestBytes = 0;
  responseBytes = 0;
  status = 0;
  /** Of an answer of our own that says what is wrong. */
  code: ErrorCode | undefined;

  readonly #context: ProxyContext;
  readonly #peer: Client;
  readonly #writer: AnswerWriter;
  readonly #trace: Trace;
  readonly #outgoing = new Outgoing();
  #turn = 0;
  #minor = 1;
  #keep = true;
  #headText = "";
  #query = "";
  #bodyBegun = false;
  /** Where it counts, when its route is under deployment. */
  #cohort: CohortCounts | undefined;
  /** A hash of who asks, then. */
  #caller = 0;
  /** The backend did not bring its answer to an end. */
  #isCut = false;
  #admission: Admission | undefined;
  #upstream: Upstream | undefined;
  #tried: readonly Backend[] = NO_BACKENDS;
  #retries = 0;
  #activeAt = 0;
  #isConnecting = false;
  #isReused = false;

  constructor(context: ProxyContext, peer: Client) {
    this.#context = context;
    this.#peer = peer;
    this.#writer = new AnswerWriter(peer);
    this.#trace = new Trace(context);
  }

  get wantsUpgrade(): boolean {
    return this.#outgoing.wantsUpgrade;
  }

  get protocol() {
    return this.#peer.protocol;
  }

  get subject(): string | undefined {
    return this.#admission?.subject;
  }

  get variant(): string | undefined {
    return this.route?.variant;
  }

  header(name: string): string | undefined {
    return fieldIn(this.#headText, name);
  }

  query(name: string): string | undefined {
    return queryValue(this.#query, name);
  }

  cookie(name: string): string | undefined {
    return cookieIn(this.header("cookie"), name);
  }

  /** `inline` is the body when all of it is there already; it stays as it is. */
  begin(head: Head, body: RequestBody, inline: Buffer | undefined): void {
    const context = this.#context;
    this.#turn++;
    this.#reset(head, body, inline);
    this.#trace.begin(head, context.now());
    const { text, pathEnd, targetStart, targetEnd } = head;
    const path = text.slice(targetStart, pathEnd);
    this.#query = pathEnd < targetEnd ? text.slice(pathEnd, targetEnd) : "";
    this.target = this.#query === "" ? path : text.slice(targetStart, targetEnd);
    this.path = path;
    if (head.oddPath) {
      const matched = matchedPath(path);
      if (matched === undefined) {
        context.refused("path");
        this.#answerRefusal("path");
        return;
      }
      this.path = matched;
    }
    const found = context.matcher.find(this);
    const route = found?.division ? this.#versionOf(found, found.division) : found;
    this.route = route;
    if (!route) {
      this.#answer({ status: 404, code: "gateway_no_route" }, "NR");
      return;
    }
    route.counters.active++;
    // Chunks that came with the head have no length of their own.
    const bodyBytes = Math.max(head.contentLength, this.requestBytes);
    if (route.bodyBytesMax > 0 && bodyBytes > route.bodyBytesMax) {
      this.#answer({ status: 413, code: "body_too_large" }, "UA", true);
    } else this.#take(route, head, path);
  }

  #reset(head: Head, body: RequestBody, inline: Buffer | undefined): void {
    this.state = "deciding";
    this.method = head.method;
    this.isHead = head.method === "HEAD";
    this.host = head.host < 0 ? "" : this.#context.hostName(head.value(head.host));
    const { address, isTrusted } = this.#peer;
    this.client = isTrusted ? this.#context.clientBehind(address, head.get("x-forwarded-for")) : address;
    this.flags = NO_FLAGS;
    this.status = 0;
    this.code = undefined;
    this.requestBytes = inline ? inline.length : 0;
    this.responseBytes = 0;
    this.#headText = head.text;
    this.#minor = head.minor;
    this.#keep = head.keepAlive;
    this.#outgoing.begin(body, inline);
    this.isSent = this.#outgoing.isWhole;
    this.#bodyBegun = false;
    this.#admission = undefined;
    this.#cohort = undefined;
    this.#isCut = false;
    this.#tried = NO_BACKENDS;
    this.#retries = 0;
    this.#isConnecting = false;
  }

  #take(route: Route, head: Head, path: string): void {
    this.#outgoing.compose(head, route, path, this.#query, this.#peer, this.#trace);
    const verdict = route.guard?.check(this, this.#context);
    const now = this.#trace.startedAt; // what is decided at once takes some microseconds
    if (!verdict) this.#decided(now);
    else if (verdict instanceof Promise) this.#await(verdict);
    else this.#judge(verdict, now);
  }

  #versionOf(route: Route, division: Division): Route {
    const { seed, unit, bound, tester, exposed, cohorts } = division;
    if (tester && this.header(tester.name) === tester.value) return exposed;
    const name =
      unit.kind === "header" ? this.header(unit.name) : unit.kind === "cookie" ? this.cookie(unit.name) : "";
    this.#caller = positionOf(seed, name || this.client);
    const isCanary = this.#caller < bound;
    this.#cohort = isCanary ? cohorts.canary : cohorts.control;
    return isCanary ? exposed : route;
  }

  #await(verdict: Promise<Verdict>): void {
    const turn = this.#turn;
    verdict.then(
      (known) => {
        if (turn === this.#turn && this.state === "deciding") this.#judge(known, this.#context.now());
      },
      () => {
        if (turn === this.#turn) this.#answer({ status: 500, code: "internal" }, "UA", true);
      },
    );
  }

  #judge(verdict: Verdict, now: number): void {
    if (isRefused(verdict)) {
      this.#refuse(verdict);
      return;
    }
    this.#admission = verdict;
    this.#outgoing.add(verdict.requestLines);
    this.#decided(now);
  }

  #refuse({ flag, answer, lines }: Refused): void {
    if (answer) this.#answer({ ...answer, fields: lines }, flag, !this.isSent);
    else this.#local(`HTTP/1.1 204 No Content\r\n${lines}`, 204, flag);
  }

  #decided(now: number): void {
    const { settings, budget } = this.route!;
    this.#trace.decidedAt = now;
    const { redirect } = settings;
    if (redirect) {
      // Functions, as `$&` of a path would mean something in a text.
      const location = redirect.location
        .replace("{path}", () => this.path)
        .replace("{query}", () => this.#query);
      const head = `HTTP/1.1 ${redirect.status} Redirect\r\nLocation: ${location}\r\nContent-Length: 0\r\n`;
      this.#local(head, redirect.status, "LR");
      return;
    }
    // A tunnel has no copy.
    if (settings.mirror && this.isSent && !this.wantsUpgrade) {
      const { host, isHead } = this;
      mirror(this.#context, settings.mirror, this.#outgoing.head(host), this.#outgoing.bodyText(), isHead);
    }
    budget.request(now);
    this.#attempt(now);
  }

  // Attempts

  #attempt(now: number): void {
    const { balancer } = this.route!;
    this.#trace.choose(balancer.targets, now);
    const backend = balancer.choose(now, this, this.#tried);
    if (!backend?.enter(now)) {
      this.#noBackend(now);
      return;
    }
    this.backend = backend;
    this.#trace.attempt(now);
    if (this.#retries > 0) this.#outgoing.within(this.#trace);
    this.#activeAt = now;
    this.state = "waiting";
    this.#connect(backend, now, true);
  }

  #connect(backend: Backend, now: number, mayReuse: boolean): void {
    const once = !this.route!.retry.methods.includes(this.method);
    const idle = mayReuse ? backend.take(now, once) : undefined;
    const upstream = idle ?? backend.open();
    if (!upstream) {
      backend.leave(undefined, now);
      this.backend = undefined;
      this.#answer({ status: 503, code: "gateway_overloaded", retryAfterSeconds: 1 }, "UO", !this.isSent);
      return;
    }
    this.#upstream = upstream;
    this.#isReused = idle !== undefined;
    this.#isConnecting = !upstream.connected;
    upstream.begin(this);
    if (upstream.connected) this.#send(upstream, now);
  }

  onConnected(): void {
    const now = this.#context.now();
    this.#trace.connectedAt = now;
    this.#isConnecting = false;
    if (this.#upstream) this.#send(this.#upstream, now);
  }

  #send(upstream: Upstream, now: number): void {
    this.#activeAt = now;
    this.#outgoing.send(upstream, this.backend!);
    if (!this.isSent) this.#peer.takeBody();
  }

  /** A part of the request's body, on its way. False: not so fast. */
  sendBody(part: Buffer, done: boolean, trailer: string): boolean {
    const upstream = this.#upstream;
    this.#bodyBegun = true;
    this.requestBytes += part.length;
    this.#activeAt = this.#context.tick;
    const { bodyBytesMax } = this.route!;
    if (bodyBytesMax > 0 && this.requestBytes > bodyBytesMax) {
      const isAnswering = this.state === "answering";
      this.#abandon("UA");
      if (isAnswering) this.#cutAnswer("UA");
      else this.#answer({ status: 413, code: "body_too_large" }, "UA", true);
      return true;
    }
    if (done) this.isSent = true;
    if (!upstream || upstream.closed) return true;
    upstream.send(part, this.#peer, this.#outgoing.isChunked, done ? lastChunk(trailer) : "");
    return upstream.out.flows;
  }

  #noBackend(now: number): void {
    const { targets } = this.route!.balancer;
    const isOpen = targets.some(({ backend }) => !backend.settings.draining && !backend.admits(now));
    const last = this.flags.at(-1);
    if (last && FAILURES[last]) this.#answer(FAILURES[last], "URX", !this.isSent);
    else if (isOpen) {
      this.#answer({ status: 503, code: "gateway_breaker_open", retryAfterSeconds: 5 }, "UO", !this.isSent);
    } else
      this.#answer({ status: 503, code: "gateway_no_backend", retryAfterSeconds: 5 }, "UH", !this.isSent);
  }

  // The answer

  onInform(head: Head): void {
    if (this.#minor === 0 || head.status === 100) return;
    this.#peer.write(`HTTP/1.1 ${head.text.slice(9, head.reasonEnd)}\r\n${fieldsOf(head, HOP_BY_HOP)}\r\n`);
  }

  onHead(head: Head, framing: Framing, body: Buffer, done: boolean): void {
    const now = this.#context.now();
    this.#trace.firstByteAt = now;
    if (head.status >= 500 && this.#retriesStatus(head.status, now)) return;
    this.state = "answering";
    this.status = head.status;
    this.#activeAt = now;
    const isOk = head.status < 500;
    this.backend!.judge(isOk, now, isOk ? undefined : `status ${head.status}`);
    this.route!.counters.backendDuration.add(now - this.#trace.attemptAt);
    if (!this.isSent) this.#keep = false;
    const { response, settings } = this.route!;
    const admission = this.#admission;
    let { lines, names } = response;
    if (admission) {
      lines += admission.responseLines;
      names = [...names, ...admission.responseNames];
    }
    if (settings.strategy?.kind === "sticky") {
      lines += this.route!.stickyLine(this.backend!, this.cookie(settings.strategy.cookie));
    }
    const { requestId } = this.#trace;
    const style = { names, lines, isHead: this.isHead, minor: this.#minor, keep: this.#keep, requestId };
    const text = this.#writer.head(head, framing, style);
    if (this.#writer.endsByClosing) this.#keep = false;
    this.responseBytes += body.length;
    const upstream = this.#upstream!;
    if (done) {
      this.#upstream = undefined;
      this.#writer.whole(text, body, upstream);
      this.#finish(now);
      return;
    }
    this.#writer.begin(text, body, upstream);
    if (!this.#peer.flows) upstream.socket.pause();
  }

  onBody(body: Buffer, done: boolean, trailer: Buffer): void {
    this.#activeAt = this.#context.tick;
    if (this.state === "tunnel") {
      this.#fromTunnel(body, done);
      return;
    }
    this.responseBytes += body.length;
    const upstream = this.#upstream!;
    if (body.length > 0) this.#writer.part(body, upstream);
    if (done) {
      this.#upstream = undefined;
      this.#writer.end(this.#trailerLines(trailer));
      this.#finish();
    } else if (!this.#peer.flows) upstream.socket.pause();
  }

  #trailerLines(trailer: Buffer): string {
    if (trailer.length === 0) return "";
    const head = this.#context.heads.trailer;
    return head.parseTrailer(trailer, 0, trailer.length) < 0 ? "" : fieldsOf(head, this.#context.trailerDrop);
  }

  onDrain(): void {
    this.#peer.resume();
  }

  /** The client took what was written. */
  onClientDrain(): void {
    this.#upstream?.socket.resume();
  }

  // Upgrades

  onSwitch(head: Head, rest: Buffer): void {
    const now = this.#context.now();
    this.#trace.firstByteAt = now;
    this.state = "tunnel";
    this.status = 101;
    this.backend!.judge(true, now);
    // How long people stay says nothing of the version.
    this.#cohort?.add(101, false, now - this.#trace.startedAt, this.#caller, this.backend!.hash);
    this.#cohort = undefined;
    this.#context.tunnels++;
    const upgrade = head.upgrade < 0 ? "websocket" : head.value(head.upgrade);
    const { response } = this.route!;
    const fields = fieldsOf(head, TO_CLIENT, response.names) + response.lines;
    this.#peer.becomeTunnel();
    this.#peer.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n${fields}\r\n`,
    );
    if (rest.length > 0) this.#fromTunnel(rest, false);
  }

  /** Bytes of the client, once it is a tunnel. False: not so fast. */
  tunnel(bytes: Buffer): boolean {
    this.#activeAt = this.#context.tick;
    this.requestBytes += bytes.length;
    this.#upstream?.send(bytes, this.#peer, false, "");
    return this.#upstream?.out.flows ?? true;
  }

  #fromTunnel(bytes: Buffer, done: boolean): void {
    this.responseBytes += bytes.length;
    const upstream = this.#upstream!;
    if (bytes.length > 0) this.#peer.pass(bytes, upstream);
    if (!this.#peer.flows) upstream.socket.pause();
    if (done) this.#closeTunnel();
  }

  #closeTunnel(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.destroy();
    this.#context.tunnels--;
    this.#keep = false;
    this.#finish();
  }

  // Failures

  /** True when the answer is put aside and the request is tried again. */
  #retriesStatus(status: number, now: number): boolean {
    if (!this.route!.retry.statuses.includes(status) || !this.#mayRetry(now, false)) return false;
    const backend = this.backend!;
    this.#trace.fail(backend, now, { status });
    backend.leave(false, now, `status ${status}`);
    // Its body may go on for long; the connection is not worth waiting for.
    this.#upstream?.destroy();
    this.#again(backend, `status_${status}`);
    return true;
  }

  onFail(upstream: Upstream, flag: ResponseFlag, message: string): void {
    if (this.#upstream !== upstream) return;
    const now = this.#context.now();
    const backend = this.backend!;
    this.#upstream = undefined;
    if (this.state === "answering") {
      this.#cutAnswer(flag);
      return;
    }
    if (this.state !== "waiting") return;
    const isRace = this.#isReused && flag === "UC" && !upstream.heard && !this.#bodyBegun;
    if (isRace && this.route!.retry.methods.includes(this.method)) {
      // It closed while the request was on its way: nobody's failure, and not taken from the budget.
      this.#context.count("keep_alive_race");
      this.#connect(backend, now, false);
      return;
    }
    backend.leave(false, now, message);
    this.#trace.fail(backend, now, { flag, problem: message });
    this.backend = undefined;
    if (this.#mayRetry(now, flag === "UF")) {
      this.#flag(flag);
      this.#again(backend, flag === "UF" ? "connect" : flag === "UT" ? "timeout" : "closed");
    } else this.#answer(FAILURES[flag] ?? FAILURES.UC!, flag, !this.isSent);
  }

  /** `isUnsent`: nothing of it reached a backend, so any method may be tried again. */
  #mayRetry(now: number, isUnsent: boolean): boolean {
    const { retry, budget } = this.route!;
    if (this.#retries >= retry.attempts || this.#bodyBegun) return false;
    if (!isUnsent && !retry.methods.includes(this.method)) return false;
    if (budget.take(retry, now)) return true;
    this.#context.count("budget_spent");
    this.#flag("URX");
    return false;
  }

  #again(backend: Backend, reason: string): void {
    const turn = this.#turn;
    this.#retries++;
    this.#context.count(reason);
    this.#tried = [...this.#tried, backend];
    this.backend = undefined;
    this.#upstream = undefined;
    this.state = "deciding";
    this.#context.after(backoffMs(this.route!.retry, this.#retries, this.#context.chance()), () => {
      if (turn === this.#turn && this.state === "deciding") this.#attempt(this.#context.now());
    });
  }

  /** The client is gone. */
  abort(flag: ResponseFlag): void {
    if (this.state === "idle") return;
    if (this.state === "tunnel") {
      this.#closeTunnel();
      return;
    }
    this.#abandon(flag);
    this.#keep = false;
    if (this.status === 0) this.status = 499;
    this.#finish();
  }

  /** Lets go of the backend, whose fault it is not. */
  #abandon(flag: ResponseFlag): void {
    this.#flag(flag);
    if (this.state === "waiting") this.backend?.leave(undefined, this.#context.now());
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.destroy();
  }

  #cutAnswer(flag: ResponseFlag): void {
    this.#flag(flag);
    this.#isCut = flag in FAILURES;
    this.#peer.cut();
    this.#keep = false;
    this.#finish();
  }

  /** The client broke the protocol in its body. */
  refuseBody(refusal: Refusal): void {
    this.#context.refused(refusal);
    const isAnswering = this.state === "answering";
    this.#abandon("DP");
    if (isAnswering) this.#cutAnswer("DP");
    else this.#answerRefusal(refusal);
  }

  bodyTooSlow(): void {
    const isAnswering = this.state === "answering";
    this.#abandon("DT");
    if (isAnswering) this.#cutAnswer("DT");
    else this.#answer({ status: 408, code: "request_timeout" }, "DT", true);
  }

  /** The connection ends after this answer, which says so; one whose head is out already is not the last. */
  closeAfter(): void {
    if (this.state !== "answering") this.#keep = false;
  }

  /** Called every tick. */
  checkDeadlines(now: number): void {
    const { route, state } = this;
    if (!route || state === "idle") return;
    const { connectMs, firstByteMs, idleMs, totalMs, tunnelIdleMs } = route.timeouts;
    const idleFor = now - this.#activeAt;
    if (state === "tunnel") {
      if (tunnelIdleMs > 0 && idleFor > tunnelIdleMs) this.#closeTunnel();
      return;
    }
    const isOver = totalMs > 0 && now - this.#trace.startedAt > totalMs;
    if (state === "waiting") {
      const limit = this.#isConnecting ? connectMs : this.isSent ? firstByteMs : idleMs;
      if (isOver) this.#retries = Number.POSITIVE_INFINITY;
      const isLate = isOver || (limit > 0 && idleFor > limit);
      if (isLate) this.#upstream?.fail(this.#isConnecting ? "UF" : "UT", "too slow");
    } else if (state === "answering") {
      if (!isOver && (idleMs === 0 || idleFor <= idleMs)) return;
      this.#abandon("UT");
      this.#cutAnswer("UT");
    } else if (isOver) this.#answer({ status: 504, code: "gateway_backend_timeout" }, "UT", true);
  }

  // Answers of our own

  #answer(answer: Answer, flag: ResponseFlag, closes = false): void {
    this.#flag(flag);
    if (closes) this.#keep = false;
    const { requestId } = this.#trace;
    const fields = `X-Request-Id: ${requestId}\r\n${this.#admission?.responseLines ?? ""}`;
    this.status = answer.status;
    this.code = answer.code;
    this.#peer.write(answerText(answer, { requestId, isHead: this.isHead, closes: !this.#keep, fields }));
    this.#finish();
  }

  #answerRefusal(refusal: Refusal): void {
    const [status, detail] = REFUSALS[refusal];
    this.#answer({ status, code: "http_malformed", detail }, "DP", true);
  }

  #local(lines: string, status: number, flag: ResponseFlag): void {
    this.#flag(flag);
    if (!this.isSent) this.#keep = false;
    this.status = status;
    const end = this.#keep ? "\r\n" : "Connection: close\r\n\r\n";
    const policy = this.#admission?.responseLines ?? "";
    this.#peer.write(`${lines}${policy}X-Request-Id: ${this.#trace.requestId}\r\n${end}`);
    this.#finish();
  }

  #flag(flag: ResponseFlag): void {
    if (!this.flags.includes(flag)) this.flags = [...this.flags, flag];
  }

  #finish(now = this.#context.now()): void {
    const context = this.#context;
    const { route } = this;
    if (route) {
      const { counters } = route;
      counters.active--;
      const kind = Math.floor(this.status / 100);
      counters.byClass[kind]! += 1;
      if (kind === 5) counters.failed++;
      counters.requestBytes += this.requestBytes;
      counters.responseBytes += this.responseBytes;
      const ms = now - this.#trace.startedAt;
      if (this.status !== 101) counters.duration.add(ms);
      this.#cohort?.add(this.status, this.#isCut, ms, this.#caller, this.backend?.hash);
    }
    // Judged at its head, in flight until now.
    if (this.state === "answering" || this.state === "tunnel") this.backend!.depart();
    if (this.flags.length > 0) context.countFlags(this.flags);
    this.#trace.tell(this, now);
    this.state = "idle";
    this.#turn++;
    this.route = undefined;
    this.#outgoing.inline = undefined;
    this.#upstream = undefined;
    this.backend = undefined;
    this.#peer.done(this.#keep && this.isSent);
  }
}

const FAILURES: Partial<Record<ResponseFlag, Answer>> = {
  UF: { status: 502, code: "gateway_backend_unreachable" },
  UC: { status: 502, code: "gateway_backend_closed" },
  UP: { status: 502, code: "gateway_backend_broken" },
  UT: { status: 504, code: "gateway_backend_timeout" },
};
