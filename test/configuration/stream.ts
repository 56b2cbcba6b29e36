/** The stream of an instance as a test reads it: events in order, waited for one by one. */
import { request } from "node:http";

export interface StreamEvent {
  event: string;
  id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events of several shapes
  data: any;
}

export class EventReader {
  readonly events: StreamEvent[] = [];
  retryMs: number | undefined;
  comments = 0;
  isOpen = false;
  #waiting: (() => void)[] = [];
  #end = () => {};

  /** Resolves when the answer begins. */
  static open(url: string, headers: Record<string, string>): Promise<EventReader> {
    const reader = new EventReader();
    return new Promise((resolve, reject) => {
      const call = request(url, { headers }, (response) => {
        if (response.statusCode !== 200) {
          response.resume();
          return reject(Object.assign(new Error(`answered ${response.statusCode}`), { response }));
        }
        reader.isOpen = true;
        let rest = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          const parts = (rest + chunk).split("\n\n");
          rest = parts.pop()!;
          for (const part of parts) reader.#take(part);
          reader.#wake();
        });
        response.on("close", () => {
          reader.isOpen = false;
          reader.#wake();
        });
        response.on("error", () => {});
        resolve(reader);
      });
      call.on("error", (error) => (reader.isOpen ? undefined : reject(error)));
      reader.#end = () => call.destroy();
      call.end();
    });
  }

  /** The first event that fits, taken out; waits for it. */
  async next(fits: (event: StreamEvent) => boolean = () => true): Promise<StreamEvent> {
    for (;;) {
      const at = this.events.findIndex(fits);
      if (at >= 0) return this.events.splice(at, 1)[0]!;
      if (!this.isOpen) throw new Error("the stream ended before the event came");
      await this.#change();
    }
  }

  async ended(): Promise<void> {
    while (this.isOpen) await this.#change();
  }

  close(): void {
    this.#end();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #take(text: string): void {
    const fields = new Map<string, string>();
    for (const line of text.split("\n")) {
      const colon = line.indexOf(":");
      fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
    }
    if (fields.has("")) this.comments++;
    const retry = fields.get("retry");
    if (retry !== undefined) this.retryMs = Number(retry);
    const data = fields.get("data");
    if (data !== undefined) {
      this.events.push({
        event: fields.get("event") ?? "message",
        id: fields.get("id"),
        data: JSON.parse(data),
      });
    }
  }
}
