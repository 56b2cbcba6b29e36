/**
 * When a webhook is tried: a pure state machine. Failures in a row make it pause, longer each time; after the pause
 * one request tries whether the receiver is back. A receiver that says 410 Gone is not asked again until somebody
 * says so.
 *
 * Whoever manages it can pause it too: such a pause has no end of its own.
 *
 *   active ──`failuresMax` in a row──▶ paused ──time, resume──▶ probing ──2xx──▶ active
 *     │                                  ▲                        │
 *     │                                  └───────failure──────────┘
 *     └──410──▶ disabled ──resume──▶ active
 */
export interface Pace {
  status: "active" | "paused" | "probing" | "disabled";
  /** Failed requests in a row. */
  failures: number;
  /** Pauses in a row, which make the next one longer. */
  pauses: number;
  reason: string | null;
  /** Wall-clock milliseconds at which a pause ends by itself; null when a person must end it. */
  resumesAt: number | null;
}

export const freshPace: Pace = { status: "active", failures: 0, pauses: 0, reason: null, resumesAt: null };

/** By a person, until one resumes it. */
export const pausedBy = (subject: string): Pace => ({
  ...freshPace,
  status: "paused",
  reason: `paused by ${subject}`,
});

export interface Patience {
  /** Failures in a row after which it pauses. */
  failuresMax: number;
  firstPauseMs: number;
}

const longestPauseMs = 3_600_000;

export type Outcome = { kind: "ok" } | { kind: "gone" } | { kind: "failed"; reason: string };

export function after(
  pace: Pace,
  outcome: Outcome,
  now: number,
  { failuresMax, firstPauseMs }: Patience,
): Pace {
  if (pace.status === "disabled" || pace.status === "paused") return pace; // one that was under way already
  if (outcome.kind === "ok") return pace.failures === 0 && pace.status === "active" ? pace : freshPace;
  if (outcome.kind === "gone") {
    return { ...freshPace, status: "disabled", reason: "the receiver answered 410: it wants no more" };
  }
  const failures = pace.failures + 1;
  const { reason } = outcome;
  if (pace.status === "active" && failures < failuresMax) return { ...pace, failures, reason };
  const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(pace.pauses, 20));
  return { status: "paused", failures, pauses: pace.pauses + 1, reason, resumesAt: now + pauseMs };
}

/** The pause is over. */
export function probe(pace: Pace): Pace {
  return pace.status === "paused" ? { ...pace, status: "probing", resumesAt: null } : pace;
}
