/**
 * Requests to a backend that nobody waits for, before callers are sent there: over connections of its pool, which stay
 * for those callers. One after the other; the first that fails is the last. A backend whose breaker is open, or which
 * has as many connections as it may, fails like one that answers badly: it would not serve callers either.
 */
import type { Clock } from "../../core/clock.ts";
import type { Backend } from "./backend.ts";
import type { ProbeFailure } from "./data-plane.ts";
import type { Reply, Upstream } from "./upstream.ts";

export interface BackendProbe {
  readonly path: string;
  readonly host: string | undefined;
  readonly requests: number;
  readonly timeoutMs: number;
  /** As the breaker counts time. */
  now(): number;
}

/** Undefined when all of them were answered below 400. */
export async function probeBackend(
  backend: Backend,
  probe: BackendProbe,
  clock: Clock,
): Promise<ProbeFailure | undefined> {
  for (let n = 0; n < probe.requests; n++) {
    const message = await ask(backend, probe, clock);
    if (message !== undefined) return { backend: backend.id, url: backend.settings.url, message };
  }
  return undefined;
}

/** Resolves to what is wrong. Counts with the backend like any request, so that breaker and records know of it. */
function ask(backend: Backend, probe: BackendProbe, clock: Clock): Promise<string | undefined> {
  const { path, timeoutMs, host = backend.endpoint.authority } = probe;
  const now = probe.now();
  if (!backend.admits(now) || !backend.enter(now))
    return Promise.resolve("takes no requests: breaker or drain");
  const upstream = backend.take(now, false) ?? backend.open();
  if (!upstream) {
    backend.leave(undefined, now);
    return Promise.resolve("has as many connections as it may");
  }
  return new Promise((resolve) => {
    let status = 0;
    let isOver = false;
    const end = (problem?: string) => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      backend.leave(problem === undefined || (status > 0 && status < 500), probe.now(), problem);
      resolve(problem);
    };
    const judge = () => end(status < 400 ? undefined : `answered ${status} to ${path}`);
    const send = (to: Upstream) =>
      to.out.write(
        `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: hotswap-probe\r\nAccept: */*\r\n\r\n`,
      );
    const reply: Reply = {
      isHead: false,
      isSent: true,
      wantsUpgrade: false,
      onConnected: () => send(upstream),
      onInform: () => {},
      onSwitch: () => end("switched protocols unasked"),
      onHead: (head, _framing, _body, done) => {
        status = head.status;
        if (done) judge();
      },
      onBody: (_body, done) => {
        if (done) judge();
      },
      onDrain: () => {},
      onFail: (_upstream, _flag, message) => end(message),
    };
    const timer = clock.after(timeoutMs, () => {
      end(`no answer to ${path} within ${timeoutMs} ms`);
      upstream.destroy();
    });
    upstream.begin(reply);
    if (upstream.connected) send(upstream);
  });
}
