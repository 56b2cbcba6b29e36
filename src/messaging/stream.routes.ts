/** /api/v1/messages/stream: publishing and consuming over one WebSocket. */
import type { Clock } from "../core/clock.ts";
import { HotSwapError } from "../core/errors.ts";
import { type Route, route, upgradeRequired } from "../platform/http/route.ts";
import type { Registry } from "./delivery/registry.ts";
import type { MessagingMetrics } from "./metrics.ts";
import type { Settlements } from "./settlements.ts";
import type { Whereabouts } from "./stream/remotes.ts";
import { Session, type StreamLimits, streamProtocol } from "./stream/session.ts";
import type { Tracer } from "./traces.ts";

export interface StreamParts {
  registry: Registry;
  settlements: Settlements;
  tracer: Tracer;
  whereabouts: Whereabouts | undefined;
  metrics: MessagingMetrics;
  clock: Clock;
  limits: StreamLimits & { streams: number };
  onError: (error: unknown) => void;
}

export function streamRoutes({ metrics, limits, ...parts }: StreamParts): Route[] {
  let open = 0;
  const count = (change: number) => {
    open += change;
    metrics.countStreams(open);
  };
  return [
    route({
      id: "messaging.messages.stream",
      method: "GET",
      path: "/api/v1/messages/stream",
      summary: "Publish and consume over one WebSocket",
      description:
        "Upgrade to WebSocket with the subprotocol `hotswap.v1`. Frames of JSON text open channels, grant credit and " +
        "may carry messages; binary frames carry many messages each. A page gives its token as a second subprotocol, " +
        "`hotswap.bearer.<token>`. Publishing needs messages.publish and consuming messages.consume besides. All " +
        "frames: docs/reference/stream.md.",
      permission: "messages.stream",
      audit: { none: "data plane: messages and settlements are kept themselves" },
      errors: ["overloaded"],
      upgrade: {
        protocol: streamProtocol,
        frameBytes: limits.message.batchBytes,
        open: (upgrading) => (socket, wire) => {
          if (open >= limits.streams) {
            const { code } = new HotSwapError("overloaded");
            return socket.close(4503, code);
          }
          count(1);
          new Session({ ...upgrading, socket, wire }, { ...parts, limits, onClose: () => count(-1) });
        },
      },
      handler: upgradeRequired,
    }),
  ];
}
