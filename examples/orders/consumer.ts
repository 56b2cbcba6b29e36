/**
 * Adds up what each customer has ordered: `node consumer.ts [how many]`, then it says the sums and ends. Delivery is
 * at least once, so an order that has been added already is only acknowledged. A real consumer keeps
 * what it has done where it keeps the effect: in the same transaction of its own database.
 */
import { connect } from "../../client/src/node.ts"; // from npm: "@hotswap/client/node"
import { type Order, topic } from "./order.ts";

const count = Number(process.argv[2] ?? 100);
const hotswap = connect({ url: process.env.HOTSWAP_URL!, token: process.env.HOTSWAP_TOKEN! });
const done = new Map<string, number>(); // customer → number of the newest order: order per key makes this enough
const sums = new Map<string, number>();
let added = 0;

const messages = hotswap.messages.consume<Order>(topic, {
  onSettleFailure: (_, error) => console.error("comes again:", error), // the lease had ended
});
for await (const message of messages) {
  const { number, customer, cents } = message.payload;
  if (number > (done.get(customer) ?? 0)) {
    sums.set(customer, (sums.get(customer) ?? 0) + cents);
    done.set(customer, number);
    added += 1;
  }
  void message.ack(); // gathered with others; leaving the loop waits for them
  if (added === count) break;
}
hotswap.close();
for (const [customer, cents] of [...sums].sort()) console.log(customer, (cents / 100).toFixed(2));
