/** Messages that wait for their time. */
import type { Message } from "./message.ts";
import { type CallOptions, type Page, type PageOptions, path, type Transport } from "./transport.ts";

/** It has a place in its topic only when it is due. */
export type ScheduledMessage = Omit<Message, "partition" | "offset"> & { scheduledFor: string };

export class Scheduled {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Those of a topic, in the order in which they were published. */
  list(topic: string, { limit, cursor, ...options }: PageOptions = {}): Promise<Page<ScheduledMessage>> {
    const query = { limit, cursor };
    return this.#transport.json({
      method: "GET",
      path: path`/api/v1/topics/${topic}/scheduled`,
      query,
      ...options,
    });
  }

  /** Takes one back. Rejects with `message_not_found` when it is due already. */
  cancel(messageId: string, options: CallOptions = {}): Promise<ScheduledMessage> {
    return this.#transport.json({ method: "DELETE", path: path`/api/v1/messages/${messageId}`, ...options });
  }
}
