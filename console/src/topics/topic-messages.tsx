/** Looks at messages where they lie. Nothing is consumed: consumers get them all the same. */
import { type Signal, useComputed, useSignal } from "@preact/signals";
import type { Message, Topic } from "../../../client/src/index.ts";
import { ago, exact } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Select } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonText } from "../parts/json.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { usePolling } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

const pageSize = 50;
const places = [
  ["latest", "Newest"],
  ["earliest", "Oldest"],
  ["offset", "From offset"],
] as const;
type Place = (typeof places)[number][0];

export function TopicMessages({ topic }: { topic: Topic }) {
  const partition = useSignal(0);
  const place = useSignal<Place>("latest");
  const offset = useSignal(0);
  const messages = useSignal<Message[] | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  /** The message that is looked at. The list stands still meanwhile, or it would run away. */
  const opened = useSignal<string | undefined>(undefined);
  const from = useComputed(() => (place.value === "offset" ? offset.value : place.value));

  usePolling(() => {
    const options = { partition: partition.value, from: from.value, limit: pageSize };
    opened.value = undefined;
    return {
      intervalMs: 2000,
      async ask(signal) {
        if (opened.value) return;
        const page = await hotswap().topics.peek(topic.name, { ...options, signal });
        // The newest page is read from the top, all others in the order of their offsets.
        messages.value = options.from === "latest" ? page.toReversed() : page;
        error.value = undefined;
      },
      onFailure: (failure) => {
        error.value = failure;
      },
    };
  });

  const partitions = Array.from(
    { length: topic.partitions },
    (_, index) => [`${index}`, `Partition ${index}`] as const,
  );
  return (
    <>
      <div class="toolbar">
        {topic.partitions > 1 && (
          <label for="peek-partition">
            <span class="visually-hidden">Partition</span>
            <Select
              id="peek-partition"
              value={`${partition.value}`}
              options={partitions}
              onChange={(value) => {
                partition.value = Number(value);
              }}
            />
          </label>
        )}
        <label for="peek-place">
          <span class="visually-hidden">Which messages</span>
          <Select
            id="peek-place"
            value={place.value}
            options={places}
            onChange={(value) => {
              place.value = value;
            }}
          />
        </label>
        {place.value === "offset" && (
          <input
            type="number"
            min={0}
            aria-label="First offset"
            value={offset.value}
            onInput={(event) => {
              offset.value = event.currentTarget.valueAsNumber || 0;
            }}
          />
        )}
        <span class="muted" role="status">
          {opened.value ? "Paused while a message is open." : "Reading here consumes nothing."}
        </span>
      </div>
      <ProblemPanel error={error.value} />
      {messages.value?.length === 0 && <NoMessages topic={topic} />}
      {messages.value && messages.value.length > 0 && (
        <ol class="panel messages" aria-label="Messages">
          {messages.value.map((message) => (
            <MessageRow key={message.messageId} message={message} opened={opened} />
          ))}
        </ol>
      )}
      <TwinPanel twin={twinOf(topic.name, partition.value, from.value)} />
    </>
  );
}

function twinOf(topic: string, partition: number, from: string | number) {
  const query = `partition=${partition}&from=${from}&limit=${pageSize}`;
  return {
    cli: `hotswap topic peek ${shellWord(topic)} --partition ${partition} --from ${from}`,
    curl: curl("GET", `/api/v1/topics/${encodeURIComponent(topic)}/messages?${query}`),
  };
}

function MessageRow({ message, opened }: { message: Message; opened: Signal<string | undefined> }) {
  const isOpen = opened.value === message.messageId;
  const age = ago(serverNowMs() - Date.parse(message.publishedAt));
  return (
    <li>
      <button
        type="button"
        class="message-row"
        aria-expanded={isOpen}
        onClick={() => {
          opened.value = isOpen ? undefined : message.messageId;
        }}
      >
        <Icon name="chevron" />
        <span class="message-offset">{exact(message.offset)}</span>
        <code class="message-preview">{preview(message.payload)}</code>
        {message.key !== null && <span class="chip">{message.key}</span>}
        <time dateTime={message.publishedAt} title={message.publishedAt}>
          {age}
        </time>
      </button>
      {isOpen && <MessageDetail message={message} />}
    </li>
  );
}

function MessageDetail({ message }: { message: Message }) {
  const headers = Object.entries(message.headers ?? {});
  return (
    <div class="message-detail">
      <JsonText value={message.payload} />
      <dl class="rows">
        <div>
          <dt>Message</dt>
          <dd>
            <code>{message.messageId}</code>
            <CopyButton text={message.messageId} label="the message id" />
          </dd>
        </div>
        <div>
          <dt>Place</dt>
          <dd>
            partition {message.partition}, offset {message.offset}
          </dd>
        </div>
        <div>
          <dt>Published</dt>
          <dd>{message.publishedAt}</dd>
        </div>
        <div>
          <dt>Key</dt>
          <dd>{message.key === null ? <span class="muted">none</span> : <code>{message.key}</code>}</dd>
        </div>
        {headers.map(([name, value]) => (
          <div key={name}>
            <dt>
              <code>{name}</code>
            </dt>
            <dd>
              <code>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
      <CopyButton text={JSON.stringify(message.payload, null, 2)} label="the payload" shown />
    </div>
  );
}

const preview = (payload: unknown): string => JSON.stringify(payload).slice(0, 300);

function NoMessages({ topic }: { topic: Topic }) {
  return (
    <Empty title="There are no messages here">
      <p>
        Publish one in <a href={href("topics", topic.name, "publish")}>Publish</a>, or by:
      </p>
      <Command text={`hotswap pub ${shellWord(topic.name)} '{"id": 1}'`} />
    </Empty>
  );
}
