/** What the server does right now and did in the last minutes; asked for each second on every page. */
import { effect, signal } from "@preact/signals";
import type { Overview } from "../../../client/src/index.ts";
import { startPolling } from "../poll.ts";
import { Rates, Series } from "../series.ts";
import { hotswap, token } from "../session.ts";

type RateName = "published" | "delivered" | "acked";
type Name = RateName | "depth" | "inFlight" | "loopDelayMs" | "rssBytes" | "cpuPercent";

export const overview = signal<Overview | undefined>(undefined);
/** Why the last question got no answer; undefined while all is well. */
export const failure = signal<unknown>(undefined);
export let timeline = emptyTimeline();

let skewMs = 0;

/** The server's time, as well as this machine can tell. */
export const serverNowMs = (): number => Date.now() + skewMs;

function emptyTimeline() {
  return new Series<Name>([
    "published",
    "delivered",
    "acked",
    "depth",
    "inFlight",
    "loopDelayMs",
    "rssBytes",
    "cpuPercent",
  ]);
}

effect(() => {
  if (token.value === null) {
    overview.value = undefined;
    timeline = emptyTimeline();
    return;
  }
  const rates = new Rates<RateName | "cpu">();
  return startPolling({
    intervalMs: 1000,
    async ask(signal) {
      const answer = await hotswap().system.overview({ signal });
      record(answer, rates);
    },
    onFailure: (error) => {
      failure.value = error;
    },
  });
});

function record(answer: Overview, rates: Rates<RateName | "cpu">): void {
  const nowMs = Date.parse(answer.now);
  skewMs = nowMs - Date.now();
  const { messaging, process } = answer;
  const { cpu, ...perSecond } = rates.of(nowMs / 1000, {
    published: messaging.publishedTotal,
    delivered: messaging.deliveredTotal,
    acked: messaging.ackedTotal,
    cpu: process.cpuSeconds,
  });
  timeline.add(nowMs / 1000, {
    ...perSecond,
    depth: messaging.depth,
    inFlight: messaging.inFlight,
    loopDelayMs: process.eventLoopDelayP99Ms,
    rssBytes: process.rssBytes,
    cpuPercent: cpu === null ? null : cpu * 100,
  });
  overview.value = answer;
  failure.value = undefined;
}
