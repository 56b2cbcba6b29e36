/**
 * One POST to a webhook: to the address that was looked at and no other, with the certificate checked, no redirect
 * followed, and an end in time whatever the receiver does. What it says is read only as far as politeness asks.
 */
import * as http from "node:http";
import * as https from "node:https";
import type { Clock } from "../../core/clock.ts";
import type { Address } from "./address.ts";

export interface Post {
  url: URL;
  address: Address;
  headers: Record<string, string>;
  body: Buffer;
  timeoutMs: number;
  clock: Clock;
  signal: AbortSignal;
}

export interface Answer {
  status: number;
  /** Milliseconds that the receiver asks for. */
  retryAfterMs: number | undefined;
}

const retryAfterMax = 3_600;

export function post({ url, address, headers, body, timeoutMs, clock, signal }: Post): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http).request(url, {
      method: "POST",
      headers: { ...headers, "content-length": String(body.length), "user-agent": "hotswap" },
      agent: false, // a connection of its own: no other tenant's, and to this address only
      lookup: (_host, options, done) => {
        if (options.all) done(null, [address]);
        else done(null, address.address, address.family);
      },
      signal,
    });
    const timer = clock.after(timeoutMs, () =>
      request.destroy(new Error(`no answer within ${timeoutMs} ms`)),
    );
    request.on("error", (error) => {
      timer.cancel();
      reject(error);
    });
    request.on("response", (response) => {
      timer.cancel();
      const seconds = Number(response.headers["retry-after"]);
      const asked = Number.isFinite(seconds) && seconds > 0;
      resolve({
        status: response.statusCode!,
        retryAfterMs: asked ? Math.min(seconds, retryAfterMax) * 1000 : undefined,
      });
      response.destroy();
    });
    request.end(body);
  });
}
