/** All that is known of a message: its payload, where it lies, when, by whom, on which trace. */
import type { Message } from "../../../client/src/index.ts";
import { bytes } from "../format.ts";
import { CopyButton } from "../parts/copy.tsx";
import { JsonText } from "../parts/json.tsx";
import { type RowEntry, Rows } from "../parts/rows.tsx";
import { Trace, traceIdOf } from "../parts/trace.tsx";
import { href } from "../route.ts";

export function MessageDetail({ message, isPage = false }: { message: Message; isPage?: boolean }) {
  const traceId = traceIdOf(message.traceparent);
  const headers = Object.entries(message.headers ?? {}).map(
    ([name, value]): RowEntry => [<code key={name}>{name}</code>, <code key={name}>{value}</code>],
  );
  return (
    <div class="message-detail">
      <div>
        <Payload message={message} />
      </div>
      <Rows
        all={[
          [
            "Message",
            <>
              {isPage ? (
                <code>{message.messageId}</code>
              ) : (
                <a href={href("messages", message.messageId)}>
                  <code>{message.messageId}</code>
                </a>
              )}
              <CopyButton text={message.messageId} label="the message id" />
            </>,
          ],
          ["Place", `partition ${message.partition}, offset ${message.offset}`],
          ["Published", message.publishedAt],
          ["Key", message.key === null ? <span class="muted">none</span> : <code>{message.key}</code>],
          ["Priority", message.priority || undefined],
          ["Scheduled for", message.scheduledFor],
          ["Expires", message.expiresAt],
          ["Idempotency key", message.idempotencyKey && <code>{message.idempotencyKey}</code>],
          ["Content type", message.contentType && <code>{message.contentType}</code>],
          traceId !== undefined && ["Trace", <Trace key="trace" id={traceId} />],
          ...originOf(message),
          ...headers,
        ]}
      />
    </div>
  );
}

function originOf({ origin }: Message): RowEntry[] {
  if (!origin) return [];
  return [
    [
      "Died as",
      <a key="origin" href={href("messages", origin.messageId)}>
        <code>{origin.messageId}</code>
      </a>,
    ],
    ["Died in", `${origin.subscription} of ${origin.topic}, ${origin.deadLetteredAt}`],
    ["Reason", origin.reason],
    ["Attempts", origin.attempts],
    ["First failed", origin.firstFailedAt],
  ];
}

function Payload({ message: { payload, payloadBase64 } }: { message: Message }) {
  if (payloadBase64 === undefined)
    return (
      <>
        <JsonText value={payload} />
        <CopyButton text={JSON.stringify(payload, null, 2)} label="the payload" shown />
      </>
    );
  return (
    <>
      <p class="muted">{bytes((payloadBase64.length * 3) / 4)} that are not JSON, in base64:</p>
      <pre class="json">{payloadBase64}</pre>
      <CopyButton text={payloadBase64} label="the payload" shown />
    </>
  );
}

/** The beginning of a payload, for a line of a list. */
export const preview = ({ payload, payloadBase64, contentType }: Message): string =>
  payloadBase64 === undefined
    ? JSON.stringify(payload).slice(0, 300)
    : `${contentType ?? "bytes"}: ${payloadBase64.slice(0, 60)}`;
