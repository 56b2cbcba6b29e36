/** Publishes one message by hand, and shows the receipt. */
import { useSignal } from "@preact/signals";
import type { Json, NewMessage, PublishReceipt, Topic } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { cliOptions, curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

const storage = (topic: string) => `hotswap.draft.${topic}`;

export function PublishForm({ topic }: { topic: Topic }) {
  // A draft outlives a change of tabs, which is where a form is lost most often.
  const payload = useSignal(sessionStorage.getItem(storage(topic.name)) ?? `{\n  "id": 1\n}`);
  const key = useSignal("");
  const headers = useSignal("");
  const later = useSignal("");
  const receipts = useSignal<PublishReceipt[]>([]);
  const { error, run } = useAction();

  const draft = read(payload.value, key.value, headers.value, later.value.trim());
  const submit = (event?: Event) => {
    event?.preventDefault();
    if (typeof draft === "string") return;
    void run(async () => {
      const receipt = await hotswap().messages.publish(topic.name, draft);
      receipts.value = [receipt, ...receipts.value].slice(0, 8);
    });
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit}>
        <Field
          id="publish-payload"
          label="Payload (JSON)"
          hint={typeof draft === "string" ? draft : "Ctrl + Enter publishes."}
        >
          <textarea
            id="publish-payload"
            rows={10}
            spellcheck={false}
            aria-describedby="publish-payload-hint"
            aria-invalid={typeof draft === "string"}
            value={payload.value}
            onInput={(event) => {
              payload.value = event.currentTarget.value;
              sessionStorage.setItem(storage(topic.name), payload.value);
            }}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit();
            }}
          />
        </Field>
        <Field id="publish-key" label="Key" hint="Optional. Messages of one key keep their order.">
          <input
            id="publish-key"
            value={key.value}
            autocomplete="off"
            aria-describedby="publish-key-hint"
            onInput={(event) => {
              key.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field id="publish-headers" label="Headers" hint="Optional. One per line, such as source: shop">
          <textarea
            id="publish-headers"
            rows={2}
            spellcheck={false}
            aria-describedby="publish-headers-hint"
            value={headers.value}
            onInput={(event) => {
              headers.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field
          id="publish-later"
          label="For later"
          hint="Optional. In 90s, 10m, 2h or 7d, or at a time such as 2026-12-24T08:00."
        >
          <input
            id="publish-later"
            value={later.value}
            autocomplete="off"
            aria-describedby="publish-later-hint"
            aria-invalid={typeof timeOf(later.value.trim()) === "string"}
            onInput={(event) => {
              later.value = event.currentTarget.value;
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <footer>
          <button type="submit" class="button primary" disabled={typeof draft === "string"}>
            Publish
          </button>
        </footer>
      </form>
      <div>
        <Receipts topic={topic.name} receipts={receipts.value} />
        {typeof draft !== "string" && <TwinPanel twin={twinOf(topic.name, draft)} />}
      </div>
    </div>
  );
}

function Receipts({ topic, receipts }: { topic: string; receipts: readonly PublishReceipt[] }) {
  return (
    <section class="panel" aria-live="polite">
      <h2>Receipts</h2>
      {receipts.length === 0 && <p class="muted">What the server answers to each message appears here.</p>}
      <ol>
        {receipts.map(({ messageId, partition, offset, scheduledFor, durability }) => (
          <li key={messageId} class="receipt">
            {scheduledFor === undefined ? (
              <>
                partition <b>{partition}</b>, offset <b>{offset}</b>
              </>
            ) : (
              <>
                waits until <a href={href("topics", topic, "scheduled")}>{scheduledFor}</a>
              </>
            )}{" "}
            <span class="chip">{durability}</span>
          </li>
        ))}
      </ol>
      {receipts.length > 0 && (
        <p class="see-more">
          <a href={href("topics", topic, "messages")}>See the messages</a>
        </p>
      )}
    </section>
  );
}

/** The message that the form describes, or what is wrong with it. */
function read(payload: string, key: string, headers: string, later: string): NewMessage | string {
  let value: Json;
  try {
    value = JSON.parse(payload);
  } catch (error) {
    return `Not JSON yet: ${(error as Error).message}`;
  }
  const pairs: [string, string][] = [];
  for (const line of headers.split("\n").filter((candidate) => candidate.trim())) {
    const colon = line.indexOf(":");
    if (colon < 1) return `The header “${line.trim()}” has no colon.`;
    pairs.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }
  const time = timeOf(later);
  if (typeof time === "string") return time;
  return {
    ...time,
    payload: value,
    ...(key !== "" && { key }),
    ...(pairs.length > 0 && { headers: Object.fromEntries(pairs) }),
  };
}

const secondsOf: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** When it is to be delivered, as `hotswap pub` reads `--in` and `--at`; or what is wrong with it. */
function timeOf(text: string): Pick<NewMessage, "delayMs" | "deliverAt"> | string {
  if (text === "") return {};
  const [, count, unit = "s"] = /^(\d{1,9}) ?([smhd]?)$/.exec(text) ?? [];
  if (count !== undefined) return { delayMs: Number(count) * secondsOf[unit || "s"]! * 1_000 };
  const time = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) return `“${text}” is neither so much later nor a time.`;
  return { deliverAt: new Date(time).toISOString() };
}

function twinOf(topic: string, { headers, ...message }: NewMessage): Twin {
  const { key, delayMs, deliverAt } = message;
  const options = cliOptions([
    ["key", key],
    ["in", delayMs === undefined ? undefined : delayMs / 1_000],
    ["at", deliverAt?.toString()],
  ]);
  const payload = shellWord(JSON.stringify(message.payload));
  return {
    cli: headers ? undefined : `hotswap pub ${shellWord(topic)} ${payload}${options}`,
    curl: curl("POST", "/api/v1/messages/publish", { topic, ...message, headers }),
  };
}
