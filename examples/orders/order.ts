/** What producer and consumer agree on. */
export interface Order {
  /** The publisher's own: the same when an order is published twice, which a message id is not. */
  number: number;
  customer: string;
  cents: number;
}

export const topic = process.env.ORDERS_TOPIC ?? "orders-example";

const customers = ["ann", "bob", "eve"] as const;

export function orderOf(number: number): Order {
  return { number, customer: customers[number % customers.length]!, cents: (number * 37) % 1000 };
}
