/**
 * The two codecs of the binary frames against each other, and the server's against garbage: what is no frame is
 * refused as such, whatever it says about its own size, and costs no memory.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import * as client from "../../client/src/frames.ts";
import { hasCode } from "../../src/core/errors.ts";
import type { Delivery } from "../../src/messaging/delivery/delivered.ts";
import { encodeMessage } from "../../src/messaging/message.ts";
import * as server from "../../src/messaging/stream/frames.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const count = fc.oneof(fc.nat(), fc.maxSafeNat());
const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const outgoing = fc.record({
  key: fc.option(
    text.filter((key) => key !== ""),
    { nil: undefined },
  ),
  fields: fc.constantFrom("", '{"headers":{"a":"ü"}}'),
  payload: fc.oneof(text, bytes(100)),
});

describe("frames of both sides", () => {
  test("a publish arrives as it was sent", () => {
    const property = fc.property(
      u32,
      u32,
      fc.array(outgoing, { minLength: 1, maxLength: 20 }),
      (channel, id, all) => {
        const frame = Buffer.from(client.writePublish(channel, id, all));
        const head = server.readHead(frame);
        assert.deepEqual(head, { kind: server.kind.publish, channel, id, count: all.length });
        const shown = server.readPublish(frame, head).map(({ key, fields, payload }) => ({
          key,
          fields: fields.toString(),
          payload: payload.toString("hex"),
        }));
        const sent = all.map((one) => ({ ...one, payload: Buffer.from(one.payload).toString("hex") }));
        assert.deepEqual(shown, sent);
      },
    );
    fc.assert(property);
  });

  test("messages arrive as they are stored", () => {
    const delivery = fc.record({
      key: fc.option(
        text.filter((key) => key !== ""),
        { nil: undefined },
      ),
      headers: fc.option(fc.dictionary(text, text), { nil: undefined }),
      payload: bytes(100),
      partition: u16,
      offset: count,
      attempt: u32,
      publishedAt: count,
    });
    const extras = fc.constantFrom("", '{"lastReason":"ß"}');
    const batches = fc.array(fc.tuple(delivery, extras), { minLength: 1, maxLength: 20 });
    const property = fc.property(u32, count, count, batches, (channel, fence, expiresAt, batch) => {
      const deliveries = batch.map(([one]) => ({ ...one, fence, body: encodeMessage(one, one.publishedAt) }));
      const received = { deliveries: deliveries as unknown as Delivery[], expiresAt };
      const frame = new client.Frame(
        new Uint8Array(server.writeMessages(channel, fence, received, (index) => batch[index]![1])),
      );
      assert.deepEqual([frame.kind, frame.channel], [client.frameKind.messages, channel]);
      const read = client.readMessages(frame);
      assert.deepEqual([read.fence, read.expiresAt], [fence, expiresAt]);
      const shown = read.messages.map(({ key, headers, extras, payload, ...numbers }) => ({
        ...numbers,
        key: Buffer.from(key).toString(),
        headers: Buffer.from(headers).toString(),
        extras: Buffer.from(extras).toString(),
        payload: Buffer.from(payload).toString("hex"),
      }));
      const expected = batch.map(([one, extra]) => ({
        ...one,
        key: one.key ?? "",
        headers: one.headers ? JSON.stringify(one.headers) : "",
        extras: extra,
        payload: one.payload.toString("hex"),
      }));
      assert.deepEqual(shown, expected);
    });
    fc.assert(property);
  });

  test("claims arrive one by one, however they were put together", () => {
    const claim = fc.record({
      partition: fc.nat(2),
      offset: fc.nat(6),
      fence: fc.integer({ min: 1, max: 2 }),
    });
    const seconds = fc.integer({ min: 1, max: 43_200 });
    const all = fc.array(claim, { minLength: 1, maxLength: 30 });
    const property = fc.property(
      u32,
      all,
      seconds,
      fc.nat(86_400_000),
      text,
      (channel, claims, wait, delayMs, reason) => {
        const receipts = claims.map((one) => ({ subscription: 7, ...one }));
        const ack = Buffer.from(client.writeAck(channel, 1, claims));
        assert.deepEqual(server.readAck(ack, server.readHead(ack), 7, 30), receipts);
        const extend = Buffer.from(client.writeExtend(channel, 1, claims, wait));
        assert.deepEqual([...server.readExtend(extend, server.readHead(extend), 7, 30)], [[wait, receipts]]);
        const items = claims.map((one) => ({ claim: one, delayMs, reason }));
        const nack = Buffer.from(client.writeNack(channel, 1, items));
        const plain = { deadLetter: false, release: false };
        const expected = receipts.map((receipt) => ({
          receipt,
          delayMs,
          reason: reason || undefined,
          ...plain,
        }));
        assert.deepEqual(server.readNack(nack, server.readHead(nack), 7, 30), expected);
      },
    );
    fc.assert(property);
  });

  test("answers arrive", () => {
    const placed = fc.record({ partition: u16, offset: count }, { noNullPrototype: true });
    const outcome = fc.oneof(
      placed,
      fc.record({ problem: text }, { noNullPrototype: true }),
      fc.record({ receipt: text }, { noNullPrototype: true }),
    ) as fc.Arbitrary<{ partition: number; offset: number } | { problem: string } | { receipt: string }>;
    const failure = fc.record(
      {
        partition: u16,
        offset: count,
        code: fc.constantFrom("lease_lost" as const, "receipt_invalid" as const),
      },
      { noNullPrototype: true },
    );
    const counts = fc.record(
      { settled: u32, alreadySettled: u32, failed: fc.array(failure) },
      { noNullPrototype: true },
    );
    const property = fc.property(u32, u32, fc.array(outcome), counts, (channel, id, published, settled) => {
      const receipts = new client.Frame(new Uint8Array(server.writeReceipts(channel, id, published)));
      assert.deepEqual([receipts.channel, receipts.id], [channel, id]);
      assert.deepEqual(client.readReceipts(receipts), published);
      const answer = new client.Frame(new Uint8Array(server.writeSettled(channel, id, settled)));
      assert.deepEqual(client.readSettled(answer), settled);
    });
    fc.assert(property);
  });
});

describe("what is no frame", () => {
  const readers = [server.readPublish, server.readAck, server.readNack, server.readExtend];
  const read = (frame: Buffer) => {
    for (const reader of readers) {
      try {
        reader(frame, server.readHead(frame), 7, 1000);
      } catch (error) {
        assert.ok(hasCode(error, "frame_invalid"), String(error));
      }
    }
  };

  test("is refused as such: anything at all", () => {
    fc.assert(fc.property(bytes(300), read), { numRuns: 2_000 });
  });

  test("is refused as such: frames with bytes changed, cut and added", () => {
    const damage = fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
    const claims = fc.array(fc.record({ partition: fc.nat(9), offset: fc.nat(99), fence: fc.nat(9) }), {
      minLength: 1,
    });
    const frames = fc.oneof(
      fc.array(outgoing, { minLength: 1 }).map((all) => client.writePublish(1, 1, all)),
      claims.map((all) => client.writeAck(1, 1, all)),
      claims.map((all) => client.writeExtend(1, 1, all, 30)),
      claims.map((all) =>
        client.writeNack(
          1,
          1,
          all.map((claim) => ({ claim, delayMs: 5, reason: "no" })),
        ),
      ),
    );
    const property = fc.property(frames, damage, fc.nat(8), bytes(8), (frame, changes, cut, more) => {
      const damaged = Buffer.concat([Buffer.from(frame).subarray(0, frame.length - cut), more]);
      for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
      read(damaged);
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  test("is refused when it is about more messages than a frame may be", () => {
    const frame = Buffer.from(client.writeAck(1, 1, [{ partition: 0, offset: 0, fence: 1 }]));
    frame.writeUInt32LE(0xffffffff, 20);
    assert.throws(
      () => server.readAck(frame, server.readHead(frame), 7, 1000),
      (error) => hasCode(error, "frame_invalid"),
    );
  });
});
