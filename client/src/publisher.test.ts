/**
 * The publisher against a server that fails on purpose, over both wires: what was surely not taken is sent
 * again in order, what is in doubt is not unless asked for, and every promise is settled.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import type { Json, PublishReceipt } from "./message.ts";
import { nodeWire } from "./node.ts";
import { Publisher, type PublisherOptions } from "./publisher.ts";
import { Transport } from "./transport.ts";
import { fetchWire } from "./wire.ts";

interface Line {
  payload: Json;
}
/** What the server does with one request; without a rule it takes every line. */
type Rule = (exchange: Exchange) => Promise<void> | void;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  lines: AsyncIterable<Line>;
  take(line: Line): string;
}

const ends: (() => void)[] = [];
after(() => {
  for (const end of ends) end();
});

async function serverOf(...rules: Rule[]) {
  const stored: Json[] = [];
  const bodies: number[] = [];
  const take = ({ payload }: Line) => {
    const offset = stored.push(payload) - 1;
    const receipt = { messageId: `m-${offset}`, topic: "t", partition: 0, offset, durability: "fsync" };
    return `${JSON.stringify(receipt)}\n`;
  };
  const server = createServer(async (request, response) => {
    const rule = rules[bodies.length] ?? takeAll;
    bodies.push(0);
    // A client that goes away in the middle is part of some tests.
    await Promise.resolve(rule({ request, response, lines: linesOf(request), take })).catch(() => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stored, requests: bodies };
}

async function* linesOf(request: IncomingMessage): AsyncGenerator<Line> {
  let rest = "";
  request.setEncoding("utf8");
  for await (const chunk of request) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line);
  }
}

const takeAll: Rule = async ({ response, lines, take }) => {
  response.writeHead(201, { "content-type": "application/x-ndjson" });
  for await (const line of lines) response.write(take(line));
  response.end();
};

const refuse =
  (status: number, code: string): Rule =>
  ({ response }) => {
    response.writeHead(status, { "content-type": "application/problem+json", connection: "close" });
    response.end(JSON.stringify({ status, code, detail: "no" }));
  };

/** Takes `count` lines and answers them, then breaks the connection. */
const breakAfter =
  (count: number): Rule =>
  async ({ response, lines, take }) => {
    response.writeHead(201, { "content-type": "application/x-ndjson" });
    let taken = 0;
    for await (const line of lines) {
      const answer = take(line);
      if (++taken < count) response.write(answer);
      else return void response.write(answer, () => response.destroy());
    }
  };

const range = (length: number) => Array.from({ length }, (_, index) => index);

for (const [name, makeWire] of Object.entries({ fetch: fetchWire, node: nodeWire })) {
  describe(`publisher over ${name}`, () => {
    const wire = makeWire();
    after(() => wire.close?.());
    const publisherTo = (url: string, options: PublisherOptions = {}) => {
      const transport = new Transport({ url, wire, timeoutMs: 5000, retry: { baseMs: 1, attempts: 4 } });
      return new Publisher<number>(transport, "t", options);
    };
    const outcomes = (publisher: Publisher<number>, count: number) =>
      Promise.allSettled(range(count).map((payload) => publisher.publish({ payload })));
    const kept = (results: PromiseSettledResult<PublishReceipt>[]) =>
      results.filter((result) => result.status === "fulfilled").length;

    it("gives each message its own receipt, in order, however they are cut into batches", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 300 }),
          fc.integer({ min: 1, max: 50 }),
          async (count, maxBatch) => {
            const { url, stored } = await serverOf();
            const results = await outcomes(publisherTo(url, { maxBatch, maxInFlight: 64 }), count);
            assert.deepEqual(stored, range(count));
            assert.deepEqual(
              results.map((result) => result.status === "fulfilled" && result.value.offset),
              range(count),
            );
          },
        ),
        { numRuns: 15 },
      );
    });

    it("sends everything again, in order, when the server took nothing", async () => {
      const { url, stored, requests } = await serverOf(
        refuse(503, "overloaded"),
        refuse(429, "rate_limited"),
      );
      assert.equal(kept(await outcomes(publisherTo(url, { maxBatch: 10 }), 35)), 35);
      assert.deepEqual(stored, range(35));
      assert.ok(requests.length >= 3);
    });

    it("rejects everything when the refusal will not pass", async () => {
      const { url, stored } = await serverOf(...range(9).map(() => refuse(404, "topic_not_found")));
      const results = await outcomes(publisherTo(url, { maxBatch: 10 }), 25);
      assert.ok(
        results.every((result) => result.status === "rejected" && result.reason.code === "topic_not_found"),
      );
      assert.deepEqual(stored, []);
    });

    it("gives up after its attempts", async () => {
      const { url, requests } = await serverOf(...range(9).map(() => refuse(503, "overloaded")));
      assert.equal(kept(await outcomes(publisherTo(url), 3)), 0);
      assert.equal(requests.length, 4);
    });

    it("does not send again what the server may have taken before the connection broke", async () => {
      const { url, stored } = await serverOf(breakAfter(7));
      const results = await outcomes(publisherTo(url, { maxBatch: 20 }), 20);
      assert.deepEqual(stored, range(7));
      for (const result of results) {
        assert.ok(result.status === "fulfilled" || result.reason.failure === "lost");
      }
      assert.ok(kept(results) <= 7);
    });

    it("loses nothing with atLeastOnce, and keeps the order of first copies", async () => {
      const { url, stored } = await serverOf(breakAfter(7), breakAfter(5));
      assert.equal(kept(await outcomes(publisherTo(url, { maxBatch: 20, atLeastOnce: true }), 40)), 40);
      assert.deepEqual([...new Set(stored)], range(40));
    });

    it("rejects only the message whose line was refused", async () => {
      const { url, stored } = await serverOf(async ({ response, lines, take }) => {
        response.writeHead(201);
        for await (const line of lines) {
          const error = { status: 413, code: "message_too_large", detail: "too large" };
          response.write(line.payload === 2 ? `${JSON.stringify({ error })}\n` : take(line));
        }
        response.end();
      });
      const results = await outcomes(publisherTo(url), 5);
      assert.equal(kept(results), 4);
      assert.ok(results[2]!.status === "rejected" && results[2]!.reason.code === "message_too_large");
      assert.deepEqual(stored, [0, 1, 3, 4]);
    });

    it("sends a line again that was refused for now", async () => {
      let refused = false;
      const { url, stored } = await serverOf(async ({ response, lines, take }) => {
        response.writeHead(201);
        for await (const line of lines) {
          const isRefused = line.payload === 1 && !refused;
          refused ||= isRefused;
          const error = { status: 503, code: "overloaded", detail: "later" };
          response.write(isRefused ? `${JSON.stringify({ error })}\n` : take(line));
        }
        response.end();
      });
      assert.equal(kept(await outcomes(publisherTo(url), 4)), 4);
      assert.deepEqual(stored.toSorted(), range(4));
    });

    it("does not wait for answers that come only when the request has ended", { timeout: 5000 }, async () => {
      const { url } = await serverOf(async ({ response, lines, take }) => {
        let answers = "";
        for await (const line of lines) answers += take(line);
        response.writeHead(201).end(answers);
      });
      assert.equal(kept(await outcomes(publisherTo(url), 30)), 30);
    });

    it("makes its caller wait above maxInFlight, and drains", async () => {
      const { url, stored } = await serverOf();
      const publisher = publisherTo(url, { maxInFlight: 20, maxBatch: 5 });
      let most = 0;
      for (const payload of range(200)) {
        await publisher.ready();
        void publisher.publish({ payload });
        most = Math.max(most, publisher.pending);
      }
      await publisher.drain();
      assert.equal(publisher.pending, 0);
      assert.equal(stored.length, 200);
      assert.ok(most <= 20, `${most} were on the way`);
    });

    it("ends with the signal's reason", async () => {
      const stop = new AbortController();
      const { url } = await serverOf(() => stop.abort(new Error("enough")));
      const results = await outcomes(publisherTo(url, { signal: stop.signal }), 3);
      assert.ok(
        results.every((result) => result.status === "rejected" && result.reason.message === "enough"),
      );
    });
  });
}
