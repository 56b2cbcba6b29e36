/** /api/v1/nodes */
import { Type } from "typebox";
import { HotSwapError } from "../../core/errors.ts";
import { type Route, route } from "../../platform/http/route.ts";
import { type BrokerNode, complaintsOf, type HealthLimits, isHealthy, statusOf } from "./node.ts";
import { brokerNode } from "./nodes.schema.ts";
import type { NodeList } from "./sole-node.ts";

export function nodeRoutes(nodes: NodeList, limits: HealthLimits): Route[] {
  const show = (node: BrokerNode) => toNode(node, nodes.id, limits);
  return [
    route({
      id: "messaging.nodes.list",
      method: "GET",
      path: "/api/v1/nodes",
      summary: "List broker nodes",
      description: "Those that run, and for an hour those that have gone.",
      permission: "system.read",
      audit: { none: "reads only" },
      response: Type.Object({ items: Type.Array(brokerNode) }),
      handler: async () => ({ items: nodes.nodes.map(show) }),
    }),
    route({
      id: "messaging.nodes.get",
      method: "GET",
      path: "/api/v1/nodes/{id}",
      summary: "Read a broker node",
      permission: "system.read",
      audit: { none: "reads only" },
      params: Type.Object({ id: Type.String({ pattern: "^[\\w-]{1,64}$" }) }),
      response: brokerNode,
      errors: ["node_not_found"],
      handler: async ({ params: { id } }) => {
        const node = nodes.nodes.find((candidate) => candidate.id === id);
        if (!node) throw new HotSwapError("node_not_found", `There is no node ${id}.`);
        return show(node);
      },
    }),
  ];
}

function toNode(node: BrokerNode, self: string | undefined, limits: HealthLimits) {
  const { id, name, address, startedAt, heartbeatAt, health } = node;
  return {
    id,
    name,
    address,
    isSelf: id === self,
    status: statusOf(node),
    isHealthy: isHealthy(node, limits),
    complaints: complaintsOf(node, limits),
    startedAt: startedAt.toISOString(),
    heartbeatAt: heartbeatAt.toISOString(),
    health,
  };
}
