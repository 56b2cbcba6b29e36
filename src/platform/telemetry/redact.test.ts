import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { redact, redactText } from "./redact.ts";

test("masks by name at any depth and in any spelling", () => {
  const secret = "hunter2";
  const logged = {
    headers: { Authorization: secret, Cookie: [secret], "x-api-key": secret, "set-cookie": secret },
    accounts: [{ email: secret, Password: secret, api_key: { value: secret } }],
    clientSecret: secret,
    message: { payload: { anything: secret } },
    deep: { er: { and: { deeper: { token: secret } } } },
  };
  const shown = JSON.stringify(redact(logged));
  assert.doesNotMatch(shown, /hunter2/);
  assert.match(shown, /"Authorization":"\*\*\*"/);
});

test("leaves what gives nothing away", () => {
  const logged = { topic: "orders", count: 3, hasPassword: true, secret: null, when: new Date(0), key: "k1" };
  assert.deepEqual(redact(logged), logged);
  assert.equal(redact(Buffer.from("hunter2")), "<7 bytes>");
});

test("of an error only the known members are shown, and those of its causes", () => {
  const cause = Object.assign(new Error("duplicate key"), {
    code: "23505",
    parameters: ["hunter2"],
    query: "hunter2",
  });
  const shown = redact(new Error("outer", { cause })) as { message: string; cause: object };
  assert.equal(shown.message, "outer");
  assert.deepEqual(Object.keys(shown.cause), ["type", "code", "message", "stack"]);
  assert.doesNotMatch(JSON.stringify(shown), /hunter2/);
});

test("masks credentials inside text and leaves the text around them", () => {
  const jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln";
  assert.equal(redactText(`got ${jwt}.`), "got ***.");
  assert.equal(redactText("postgres://app:hunter2@db:5432/x failed"), "postgres://app:***@db:5432/x failed");
  assert.equal(redactText("redis://:hunter2@h"), "redis://:***@h");
  assert.equal(redactText("sent Authorization: Bearer abc.def"), "sent Authorization: Bearer ***");
  assert.equal(redactText("http://h:80/a@b at 10:20"), "http://h:80/a@b at 10:20");
});

test("property: any JSON stays JSON, cycles end, and masking a line keeps it parsable", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      JSON.parse(redactText(JSON.stringify(redact({ value }))));
    }),
  );
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  JSON.stringify(redact(cycle));
});
