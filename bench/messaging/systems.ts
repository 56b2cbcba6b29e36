/** All systems of the benchmark, in the order in which a round visits them. */
import { hotswap, hotswapBatch, hotswapHttp, hotswapOs, hotswapRedis, hotswapSingle } from "./hotswap.ts";
import { nats, natsAlways } from "./nats.ts";
import { nodeHttp } from "./node-http.ts";
import { rabbitmq } from "./rabbitmq.ts";
import { redis } from "./redis.ts";
import type { System } from "./system.ts";

export const systems: readonly System[] = [
  hotswap,
  nats,
  rabbitmq,
  redis,
  hotswapRedis,
  hotswapHttp,
  hotswapOs,
  hotswapBatch,
  hotswapSingle,
  nodeHttp,
  natsAlways,
];

export function systemNamed(name: string): System {
  const system = systems.find((candidate) => candidate.name === name);
  if (!system) throw new Error(`no system ${name}; there are ${systems.map((each) => each.name).join(", ")}`);
  return system;
}
