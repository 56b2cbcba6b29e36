/** Topics, subscriptions and messages of a small shop, for pages that want something to show. */
import type { HotSwap } from "../../client/src/index.ts";

export async function openShop(hotswap: HotSwap): Promise<void> {
  await hotswap.topics.create({
    name: "orders",
    partitions: 4,
    description: "Every order that the shop takes",
  });
  await hotswap.topics.create({ name: "payments.settled", type: "pubsub", partitions: 2 });
  await hotswap.subscriptions.create({ name: "ledger", topic: "payments.settled" });
  await hotswap.topics.create({ name: "clickstream", type: "pubsub", durability: "memory" });
  for (const topic of ["orders", "payments.settled", "clickstream"]) {
    await using publisher = hotswap.messages.publisher(topic);
    for (let id = 0; id < 500; id++) {
      const payload = { id, customer: `c-${id % 97}`, total: id / 7, items: [{ sku: "A-1", quantity: 2 }] };
      void publisher.publish({ payload, key: payload.customer, headers: { source: "shop" } });
    }
  }
  let taken = 0;
  for await (const order of hotswap.messages.consume("orders", { limit: 200 })) {
    if (taken % 2 === 0) void order.ack();
    if (++taken === 200) break;
  }
}
