/** Messages of a topic that wait for their time; each can be taken back. */
import { useSignal } from "@preact/signals";
import type { ScheduledMessage, Topic } from "../../../client/src/index.ts";
import { duration } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Confirm } from "../parts/confirm.tsx";
import { JsonText } from "../parts/json.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

const pageSize = 100;

export function TopicScheduled({ topic }: { topic: Topic }) {
  const chosen = useSignal<ScheduledMessage | undefined>(undefined);
  const { answer, error, refresh } = useLive((signal) =>
    hotswap().scheduled.list(topic.name, { limit: pageSize, signal }),
  );
  const messages = answer.value?.items;
  const close = () => {
    chosen.value = undefined;
  };
  const cancelColumn: Column<ScheduledMessage> = {
    head: "Cancel",
    isHeadHidden: true,
    cell: (message) => (
      <button
        type="button"
        class="button small"
        onClick={() => {
          chosen.value = message;
        }}
      >
        Cancel…
      </button>
    ),
  };
  const path = `/api/v1/topics/${encodeURIComponent(topic.name)}/scheduled`;
  return (
    <>
      <ProblemPanel error={error.value} />
      {messages?.length === 0 && <Nothing topic={topic} />}
      {messages && messages.length > 0 && (
        <Table rows={messages} columns={[...columns, cancelColumn]} keyOf={({ messageId }) => messageId} />
      )}
      {answer.value?.next && <p class="muted">These are the first {pageSize}.</p>}
      <TwinPanel
        twin={{ cli: `hotswap message scheduled ${shellWord(topic.name)}`, curl: curl("GET", path) }}
      />
      {chosen.value && (
        <Cancel
          message={chosen.value}
          onDone={() => {
            close();
            void refresh();
          }}
          onClose={close}
        />
      )}
    </>
  );
}

const columns: readonly Column<ScheduledMessage>[] = [
  { head: "Message", cell: ({ messageId }) => <code>{messageId}</code> },
  {
    head: "Due",
    cell: ({ scheduledFor }) => {
      const leftMs = Date.parse(scheduledFor) - serverNowMs();
      return leftMs > 0 ? `in ${duration(leftMs)}` : "now";
    },
  },
  { head: "At", cell: ({ scheduledFor }) => <time dateTime={scheduledFor}>{scheduledFor}</time> },
  { head: "Key", cell: ({ key }) => key ?? <span class="muted">–</span> },
  {
    head: "Payload",
    class: "wide",
    cell: ({ payload }) => <code>{JSON.stringify(payload ?? null).slice(0, 200)}</code>,
  },
];

interface CancelProps {
  message: ScheduledMessage;
  onDone(): void;
  onClose(): void;
}

function Cancel({ message, onDone, onClose }: CancelProps) {
  const { messageId, scheduledFor, payload } = message;
  return (
    <Confirm
      title="Take the message back"
      verb="Take it back"
      isDanger
      twin={{
        cli: `hotswap message cancel ${shellWord(messageId)}`,
        curl: curl("DELETE", `/api/v1/messages/${encodeURIComponent(messageId)}`),
      }}
      work={() => hotswap().scheduled.cancel(messageId)}
      onDone={onDone}
      onClose={onClose}
    >
      <p>It is due at {scheduledFor}, and will not be delivered.</p>
      <JsonText value={payload ?? null} />
    </Confirm>
  );
}

function Nothing({ topic }: { topic: Topic }) {
  const body = { topic: topic.name, payload: { id: 1 }, delayMs: 3_600_000 };
  const cli = `hotswap pub ${shellWord(topic.name)} '{"id":1}' --in 1h`;
  return (
    <Empty title="Nothing waits for its time">
      <p>A message can be published for later, and taken back until then:</p>
      <TwinPanel twin={{ cli, curl: curl("POST", "/api/v1/messages/publish", body) }} />
    </Empty>
  );
}
