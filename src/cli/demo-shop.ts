/**
 * The shop of `hotswap demo`: a small service in several versions, each a real HTTP server, and customers who ask for
 * it through the gateway, so many a second, each by a name of their own.
 */
import { once } from "node:events";
import { Agent, createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { sleep, systemClock } from "../core/clock.ts";

export interface ShopVersion {
  readonly name: string;
  /** Of its answers, from 0 to 1, evenly: five failures in a row would open the breaker of the gateway. */
  readonly failing: number;
  readonly delayMs: number;
}

export class Shop {
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async open({ name, failing, delayMs }: ShopVersion): Promise<Shop> {
    let due = 0;
    const server = createServer((asked, response) => {
      asked.resume();
      due += failing;
      const isFailing = due >= 1;
      if (isFailing) due -= 1;
      systemClock.after(delayMs, () => {
        response.statusCode = isFailing ? 500 : 200;
        response.setHeader("content-type", "application/json");
        response.setHeader("x-shop", name);
        response.end(JSON.stringify(isFailing ? { error: "out of stock numbers" } : { shop: name }));
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Shop(server);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export interface Served {
  requests: number;
  /** Of a shop's own making. */
  errors: number;
  /** Without an answer, or with an error of the gateway: what a change of routes must never cause. */
  lost: number;
}

const customersCount = 2_000;
const tickMs = 20;

/** Begins at once; ends with `stop`, which waits for the answers. */
export class Customers {
  readonly served: Served = { requests: 0, errors: 0, lost: 0 };
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #ended = new AbortController();
  readonly #asking = new Set<Promise<void>>();
  readonly #running: Promise<void>;

  constructor(url: string, perSecond: number) {
    this.#running = this.#run(url, perSecond);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
    await Promise.all(this.#asking);
    this.#agent.destroy();
  }

  async #run(url: string, perSecond: number): Promise<void> {
    const { signal } = this.#ended;
    const start = systemClock.monotonic();
    for (let sent = 0; !signal.aborted; ) {
      const due = ((systemClock.monotonic() - start) / 1000) * perSecond;
      for (; sent < due; sent++) {
        const asking = this.#ask(url, sent).finally(() => this.#asking.delete(asking));
        this.#asking.add(asking);
      }
      await sleep(systemClock, tickMs, signal).catch(() => {}); // it is over
    }
  }

  #ask(url: string, turn: number): Promise<void> {
    const headers = { "x-customer": `customer-${(turn * 7919) % customersCount}` };
    return new Promise((resolve) => {
      const asked = request(url, { agent: this.#agent, headers }, (response) => {
        response.resume();
        response.once("close", () => {
          this.served.requests++;
          const isError = response.statusCode! >= 400;
          if (!response.complete || (isError && !response.headers["x-shop"])) this.served.lost++;
          else if (isError) this.served.errors++;
          resolve();
        });
      });
      asked.once("error", () => {
        this.served.requests++;
        this.served.lost++;
        resolve();
      });
      asked.end();
    });
  }
}
