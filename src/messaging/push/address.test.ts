import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hasCode } from "../../core/errors.ts";
import { checkTarget, isPublic, pin } from "./address.ts";

const ipv4 = (address: string) => ({ address, family: 4 as const });
const ipv6 = (address: string) => ({ address, family: 6 as const });

describe("where a webhook may go", () => {
  test("public addresses are public; private, special and embedded ones are not", () => {
    for (const address of ["1.1.1.1", "93.184.216.34", "172.15.0.1", "172.32.0.1"])
      assert.ok(isPublic(ipv4(address)));
    for (const address of [
      "0.0.0.0",
      "10.0.0.1",
      "100.64.0.1",
      "127.1.2.3",
      "169.254.169.254",
      "172.31.255.255",
    ]) {
      assert.ok(!isPublic(ipv4(address)), address);
    }
    for (const address of ["192.168.0.1", "198.19.0.1", "224.0.0.1", "255.255.255.255"]) {
      assert.ok(!isPublic(ipv4(address)), address);
    }
    for (const address of ["2606:4700:4700::1111", "2a00:1450::1"])
      assert.ok(isPublic(ipv6(address)), address);
    for (const address of [
      "::",
      "::1",
      "::ffff:127.0.0.1",
      "64:ff9b::7f00:1",
      "fc00::1",
      "fe80::1",
      "ff02::1",
    ]) {
      assert.ok(!isPublic(ipv6(address)), address);
    }
    for (const address of ["2002:7f00:1::", "2001:db8::1", "2001::1"])
      assert.ok(!isPublic(ipv6(address)), address);
  });

  test("any number in 127/8 is refused, however it is written", () => {
    const octet = fc.nat(255);
    const property = fc.property(octet, octet, octet, (b, c, d) => {
      const number = 127 * 2 ** 24 + b * 65_536 + c * 256 + d;
      const forms = [
        `127.${b}.${c}.${d}`,
        String(number),
        `0x${number.toString(16)}`,
        `[::ffff:127.${b}.${c}.${d}]`,
      ];
      for (const host of forms) {
        assert.throws(
          () => checkTarget(`https://${host}/`, false),
          (error) => hasCode(error, "push_target_refused"),
        );
      }
    });
    fc.assert(property);
  });

  test("a name is refused when any of its addresses is not public, and pinned to one that was looked at", async () => {
    const url = new URL("https://hooks.example/");
    const both = async () => [ipv4("1.1.1.1"), ipv4("10.0.0.1")];
    await assert.rejects(pin(url, false, both), (error) => hasCode(error, "push_target_refused"));
    assert.deepEqual(await pin(url, true, both), ipv4("1.1.1.1"));
    assert.deepEqual(await pin(url, false, async () => [ipv6("2a00:1450::1")]), ipv6("2a00:1450::1"));
  });
});
