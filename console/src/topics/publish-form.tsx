/** Publishes one message by hand, and shows the receipt. */
import { useSignal } from "@preact/signals";
import type { Json, NewMessage, PublishReceipt, Topic } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

const storage = (topic: string) => `hotswap.draft.${topic}`;

export function PublishForm({ topic }: { topic: Topic }) {
  // A draft outlives a change of tabs, which is where a form is lost most often.
  const payload = useSignal(sessionStorage.getItem(storage(topic.name)) ?? `{\n  "id": 1\n}`);
  const key = useSignal("");
  const headers = useSignal("");
  const receipts = useSignal<PublishReceipt[]>([]);
  const { error, run } = useAction();

  const draft = read(payload.value, key.value, headers.value);
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
        {receipts.map(({ messageId, partition, offset, durability }) => (
          <li key={messageId} class="receipt">
            partition <b>{partition}</b>, offset <b>{offset}</b> <span class="chip">{durability}</span>
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
function read(payload: string, key: string, headers: string): NewMessage | string {
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
  return {
    payload: value,
    ...(key !== "" && { key }),
    ...(pairs.length > 0 && { headers: Object.fromEntries(pairs) }),
  };
}

function twinOf(topic: string, message: NewMessage): Twin {
  const key = message.key === undefined ? "" : ` --key ${shellWord(message.key)}`;
  const payload = shellWord(JSON.stringify(message.payload));
  return {
    cli: message.headers ? undefined : `hotswap pub ${shellWord(topic)} ${payload}${key}`,
    curl: curl("POST", "/api/v1/messages/publish", { topic, ...message }),
  };
}
