/** How a request is watched; telemetry provides it. */
import type { IncomingMessage } from "node:http";
import type { HotSwapError } from "../../core/errors.ts";

/** What the server reports of each request; bound once per route so that the hot path looks nothing up. */
export interface RequestObserver {
  begin(request: IncomingMessage): void;
  /** Runs the handling of the request, for instance inside the caller's trace. */
  around?<Result>(request: IncomingMessage, work: () => Result): Result;
  end(
    request: IncomingMessage,
    status: number,
    durationMs: number,
    failure: HotSwapError | undefined,
    requestId: string,
  ): void;
}
