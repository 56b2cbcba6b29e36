/**
 * Publishes orders of three customers: `node producer.ts [how many]`. The customer is the key, so that the orders of
 * one customer stay in order while those of others go on.
 */
import { connect, HotSwapProblem } from "../../client/src/node.ts"; // from npm: "@hotswap/client/node"
import { type Order, orderOf, topic } from "./order.ts";

const count = Number(process.argv[2] ?? 100);
const hotswap = connect({ url: process.env.HOTSWAP_URL!, token: process.env.HOTSWAP_TOKEN! });

await hotswap.topics.create({ name: topic, partitions: 2 }).catch((error) => {
  if (!(error instanceof HotSwapProblem && error.code === "topic_exists")) throw error;
});

// What the connection's loss leaves in doubt is sent again: no order is lost, one may be stored twice.
const publisher = hotswap.messages.publisher<Order>(topic, { atLeastOnce: true });
const published: Promise<unknown>[] = [];
for (let number = 1; number <= count; number++) {
  const order = orderOf(number);
  await publisher.ready(); // waits while too much is on the way
  published.push(publisher.publish({ payload: order, key: order.customer }));
}
await Promise.all(published); // each one is on the disk now
hotswap.close();
console.log(`${count} orders published`);
