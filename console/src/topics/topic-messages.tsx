/** Looks at messages where they lie. Nothing is consumed: consumers get them all the same. */
import type { Message, Topic } from "../../../client/src/index.ts";
import { MessageList, opened } from "../messages/message-list.tsx";
import { Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { type Live, useLive } from "../poll.ts";
import { ask, href, query } from "../route.ts";
import { hotswap } from "../session.ts";

const pageSize = 50;
const places = [
  ["latest", "Newest"],
  ["earliest", "Oldest"],
  ["offset", "From offset"],
] as const;

/** Where the address says to look. */
function placeOf(): { partition: number; from: number | "earliest" | "latest" } {
  const partition = Number(query.value.partition ?? 0) || 0;
  const given = query.value.from ?? "latest";
  const from =
    given === "latest" || given === "earliest" ? given : Math.max(0, Math.floor(Number(given)) || 0);
  return { partition, from };
}

interface Peeked {
  /** Which place was read. */
  place: string;
  messages: readonly Message[];
}

export function TopicMessages({ topic }: { topic: Topic }) {
  const { answer, error }: Live<Peeked> = useLive(
    async (signal): Promise<Peeked> => {
      const { partition, from } = placeOf();
      const place = `${partition} ${from}`;
      // While one is open the list stands still, or it would run away.
      if (opened() && answer.value?.place === place) return answer.value;
      const page = await hotswap().topics.peek(topic.name, { partition, from, limit: pageSize, signal });
      // The newest page is read from the top, all others in the order of their offsets.
      return { place, messages: from === "latest" ? page.toReversed() : page };
    },
    { watch: placeOf },
  );
  const { partition, from } = placeOf();
  const messages = answer.value?.messages;
  return (
    <>
      <Place topic={topic} />
      <ProblemPanel error={error.value} />
      {messages?.length === 0 && <NoMessages topic={topic} />}
      {messages && messages.length > 0 && <MessageList messages={messages} />}
      <TwinPanel twin={twinOf(topic.name, partition, from)} />
    </>
  );
}

function Place({ topic }: { topic: Topic }) {
  const { partition, from } = placeOf();
  const kind = typeof from === "number" ? "offset" : from;
  const partitions = Array.from(
    { length: topic.partitions },
    (_, index) => [`${index}`, `Partition ${index}`] as const,
  );
  return (
    <div class="toolbar">
      {topic.partitions > 1 && (
        <label for="peek-partition">
          <span class="visually-hidden">Partition</span>
          <Select
            id="peek-partition"
            value={`${partition}`}
            options={partitions}
            onChange={(value) => ask({ partition: value, open: "" })}
          />
        </label>
      )}
      <label for="peek-place">
        <span class="visually-hidden">Which messages</span>
        <Select
          id="peek-place"
          value={kind}
          options={places}
          onChange={(value) => ask({ from: value === "offset" ? "0" : value, open: "" })}
        />
      </label>
      {kind === "offset" && (
        <input
          type="number"
          min={0}
          aria-label="First offset"
          value={from}
          onInput={(event) => ask({ from: `${event.currentTarget.valueAsNumber || 0}`, open: "" })}
        />
      )}
      <span class="muted" role="status">
        {opened() ? "Paused while a message is open." : "Reading here consumes nothing."}
      </span>
    </div>
  );
}

function twinOf(topic: string, partition: number, from: string | number) {
  const query = `partition=${partition}&from=${from}&limit=${pageSize}`;
  return {
    cli: `hotswap topic peek ${shellWord(topic)} --partition ${partition} --from ${from}`,
    curl: curl("GET", `/api/v1/topics/${encodeURIComponent(topic)}/messages?${query}`),
  };
}

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
