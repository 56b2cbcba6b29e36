/**
 * One POST in the manner of Standard Webhooks (standardwebhooks.com): `webhook-id` stays the same over
 * retries, so that the receiver can leave out what it has seen; `webhook-signature` is HMAC-SHA256 over
 * id, time and body.
 *
 * The URL is set by the operator. It is not checked against loopback or private addresses, and must be
 * before a URL from a tenant is ever used here.
 */
import { createHmac } from "node:crypto";
import { HotSwapError } from "../../core/errors.ts";

export interface WebhookTarget {
  url: string;
  /** `whsec_` and 24 to 64 bytes in base64. */
  secret: string;
}

export interface WebhookMessage {
  id: string;
  /** Epoch seconds of this attempt. */
  timestamp: number;
  body: string;
}

const timeoutMs = 10_000;

/** Throws `setting_invalid`. The value of the secret is never in the error. */
export function checkTarget({ url, secret }: WebhookTarget): void {
  const { protocol } = URL.canParse(url) ? new URL(url) : { protocol: "" };
  if (protocol !== "https:" && protocol !== "http:") {
    throw new HotSwapError(
      "setting_invalid",
      "The URL of the approvals' webhook must begin with http(s)://.",
    );
  }
  const bytes = keyOf(secret).length;
  if (!secret.startsWith("whsec_") || bytes < 24 || bytes > 64) {
    throw new HotSwapError(
      "setting_invalid",
      "The secret of the approvals' webhook must be whsec_ followed by 24 to 64 bytes in base64.",
    );
  }
}

export function webhookSignature(secret: string, { id, timestamp, body }: WebhookMessage): string {
  const mac = createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.${body}`);
  return `v1,${mac.digest("base64")}`;
}

/**
 * Resolves when the receiver has answered 2xx; rejects with a short reason otherwise. Redirects are not
 * followed.
 */
export async function postWebhook(
  target: WebhookTarget,
  message: WebhookMessage,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(target.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "user-agent": "hotswap",
      "webhook-id": message.id,
      "webhook-timestamp": String(message.timestamp),
      "webhook-signature": webhookSignature(target.secret, message),
    },
    body: message.body,
    redirect: "manual",
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the receiver answered ${response.status}`);
}

function keyOf(secret: string): Buffer {
  return Buffer.from(secret.slice("whsec_".length), "base64");
}
