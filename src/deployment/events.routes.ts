/**
 * The events of a deployment as they happen, by server-sent events. `id` is the event's position, so who reconnects
 * with Last-Event-ID misses none; in between come `progress` events without an id, which are only news.
 */
import { Type } from "typebox";
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../platform/http/page.ts";
import { type Context, handled, Reply, type Route, route } from "../platform/http/route.ts";
import { write } from "../platform/http/write.ts";

import type { Deployments } from "./deployments.ts";
import type { Engine } from "./engine.ts";
import type { Narrowing } from "./narrowing.ts";
import * as show from "./show.ts";
import { isEnded } from "./state.ts";
import type { DeploymentRow } from "./tables.ts";

export interface EventParts {
  deployments: Deployments;
  engine: Pick<Engine, "onChanged">;
  clock: Clock;
  onError(error: unknown): void;
}

/** Without a hint. */
const LOOK_MS = 1_000;
const HEARTBEAT_MS = 15_000;
const PAGE = 200;

export function eventRoute(parts: EventParts, { kind }: Narrowing): Route {
  const { deployments, onError } = parts;
  return route({
    id: "deployments.events",
    method: "GET",
    path: "/api/v1/deployments/{id}/events",
    summary: "The events of a deployment as they happen",
    description:
      "Server-sent events; with `Accept: application/json` the list of those that there are. The stream ends with the " +
      "deployment; who comes back after that with Last-Event-ID is answered 204 when there is nothing more.",
    permission: "deployments.read",
    checksResource: true,
    audit: { none: "reads only" },
    params: Type.Object({ id: Type.String({ format: "uuid" }) }),
    query: Type.Object(pageQuery, { additionalProperties: false }),
    responseType: "text/event-stream",
    response: Type.String(),
    responseContent: { "application/json": pageOf(show.deploymentEvent) },
    errors: ["deployment_not_found", "cursor_invalid"],
    handler: async (context) => {
      const { principal, params, query, headers, response, requestId, signal } = context;
      const row = await deployments.get(principal, params.id, kind);
      if ((headers.accept ?? "").includes("application/json")) {
        const after = decodeCursor(query.cursor, 1)?.[0] ?? 0;
        if (!Number.isSafeInteger(after)) throw new HotSwapError("cursor_invalid");
        const rows = await deployments.events(row.tenant_id, row.id, {
          ...{ after: after as number, limit: query.limit + 1 },
        });
        return toPage(rows, query.limit, show.toEvent, ({ seq }) => [seq]);
      }
      const last = lastEventId(headers);
      if (isEnded(row) && last !== undefined && last >= row.seq) return new Reply(undefined, { status: 204 });
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-request-id": requestId,
      });
      sendEvents(parts, context, row, last ?? 0)
        .catch((error) => {
          if (!signal.aborted && !response.destroyed) onError(error);
        })
        .finally(() => response.end());
      return handled;
    },
  });
}

function lastEventId(headers: Context["headers"]): number | undefined {
  const value = Number(headers["last-event-id"] ?? Number.NaN);
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

async function sendEvents(
  { deployments, engine, clock }: EventParts,
  { principal, response, signal }: Context,
  first: DeploymentRow,
  last: number,
): Promise<void> {
  const news = new News(engine, first, clock);
  let sent = last;
  let shown = "";
  let writtenAt = clock.monotonic();
  try {
    await write(response, "retry: 1000\n\n");
    while (!signal.aborted && !response.destroyed) {
      const row = await deployments.get(principal, first.id);
      const events = await deployments.events(row.tenant_id, row.id, { after: sent, limit: PAGE });
      let text = events
        .map(
          (event) =>
            `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(show.toEvent(event))}\n\n`,
        )
        .join("");
      sent = events.at(-1)?.seq ?? sent;
      const progress = progressOf(row);
      if (progress !== shown) text += `event: progress\ndata: ${progress}\n\n`;
      shown = progress;
      if (text === "" && clock.monotonic() - writtenAt >= HEARTBEAT_MS) text = ":\n\n";
      if (text !== "") {
        await write(response, text);
        writtenAt = clock.monotonic();
      }
      if (isEnded(row) && sent >= row.seq) return;
      if (events.length < PAGE) await news.next(signal);
    }
  } finally {
    news.end();
  }
}

/** What a person who watches wants to see move. */
function progressOf(row: DeploymentRow): string {
  const { status, phase, phases, share, holdReasons } = show.toSummary(row);
  const verdict = row.verdicts.at(-1) ?? null;
  const progress = row.progress && show.toProgress(row.progress);
  const { trouble } = row;
  return JSON.stringify({ status, phase, phases, share, holdReasons, progress, verdict, trouble });
}

/** Resolves when something has changed, or after a while. */
class News {
  readonly #clock: Clock;
  readonly end: () => void;
  #isNew = false;
  #wake: (() => void) | undefined;

  constructor(engine: Pick<Engine, "onChanged">, { id }: DeploymentRow, clock: Clock) {
    this.#clock = clock;
    this.end = engine.onChanged((changed) => {
      if (changed.id !== id) return;
      this.#isNew = true;
      this.#wake?.();
    });
  }

  async next(signal: AbortSignal): Promise<void> {
    if (!this.#isNew) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(LOOK_MS, resolve, { keepAlive: true });
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
        signal.addEventListener("abort", this.#wake, { once: true });
      });
      if (this.#wake) signal.removeEventListener("abort", this.#wake);
      this.#wake = undefined;
    }
    this.#isNew = false;
  }
}
