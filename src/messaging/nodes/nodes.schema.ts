/** Schemas of broker nodes as the API shows them. */
import { Type } from "typebox";

const count = Type.Integer({ minimum: 0 });
const time = Type.String({ format: "date-time" });

export const brokerNode = Type.Object(
  {
    id: Type.String({ description: "Of one life of its process." }),
    name: Type.String(),
    address: Type.String({ description: "Where other nodes reach it." }),
    isSelf: Type.Boolean({ description: "It is the node that answers." }),
    status: Type.Enum(["started", "draining", "suspect", "dead", "stopped"], {
      description:
        "`suspect`: no heartbeat for half of its lease. `dead`: for all of it, and others take over. `draining`: it " +
        "hands over and stops.",
    }),
    isHealthy: Type.Boolean(),
    complaints: Type.Array(Type.String(), { description: "What makes it unhealthy, in words." }),
    startedAt: time,
    heartbeatAt: time,
    health: Type.Object({
      queueDepth: Type.Integer({
        minimum: 0,
        description: "Messages not acknowledged yet, of what it serves.",
      }),
      consumers: Type.Integer({
        minimum: 0,
        description: "Requests that wait for messages, and holders of some.",
      }),
      topics: Type.Integer({ minimum: 0, description: "Topics that it serves." }),
      cpuShare: Type.Number({ minimum: 0, description: "Of one CPU, since the heartbeat before." }),
      memoryBytes: count,
      eventLoopDelayMs: Type.Number({
        minimum: 0,
        description: "How late its event loop is, at the 99th percentile.",
      }),
    }),
  },
  { title: "BrokerNode" },
);
