import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../core/clock.ts";
import { ClientCertificates } from "./client-certificates.ts";
import { makeCertificate } from "./proxy/certificate.testing.ts";

const pemOf = (name: string) => Object.values(makeCertificate(name)).join("");

test("a secret is looked up while a route names it; a new value counts, one that is no certificate does not", async () => {
  const clock = new ManualClock();
  const [first, second] = [pemOf("one"), pemOf("two")];
  let secret: string | undefined = first;
  let isUsed = true;
  const [changes, errors]: [string[], unknown[]] = [[], []];
  const certificates = new ClientCertificates({
    clock,
    secretOf: async () => secret,
    onChange: (tenant, name) => changes.push(`${tenant} ${name}`),
    isUsed: () => isUsed,
    onError: (error) => errors.push(error),
  });
  const look = async (value: string | undefined) => {
    secret = value;
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
    return certificates.pemOf("acme", "client");
  };
  assert.equal(certificates.pemOf("acme", "client"), undefined);
  await certificates.settled();
  assert.equal(certificates.pemOf("acme", "client"), first);
  assert.equal(await look(second), second);
  for (const bad of [undefined, "nonsense", makeCertificate("three").cert]) {
    assert.equal(await look(bad), second);
  }
  const [{ key }, { cert }] = [makeCertificate("four"), makeCertificate("five")];
  assert.equal(await look(cert + key), second, "a key of another certificate");
  assert.deepEqual([changes.length, errors.length], [2, 4]);
  assert.doesNotMatch(String(errors), /BEGIN/);
  isUsed = false;
  secret = first;
  clock.advance(20_000);
  await certificates.settled();
  assert.equal(changes.length, 2, "nobody names it, so nobody asks");
  certificates.stop();
});
