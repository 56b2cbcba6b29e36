/** Where a message stands for each subscription of its topic, and why. */
import type { Message, MessageExplanation } from "../../../client/src/index.ts";
import { duration } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

/** A topic may have thousands; of these the first are asked. */
const subscriptionsMax = 20;

export function MessageExplanations({ message: { messageId, topic } }: { message: Message }) {
  const { answer, error } = useLive(
    async (signal) => {
      const { subscriptions } = hotswap();
      const { items, next } = await subscriptions.list({ topic, limit: subscriptionsMax, signal });
      const asked = items.map(({ name }) =>
        subscriptions.explainMessage(messageId, { subscription: name, signal }),
      );
      return { all: await Promise.all(asked), isWhole: next === null };
    },
    { intervalMs: 3000 },
  );
  const found = answer.value;
  const first = found?.all[0]?.subscription ?? "default";
  const query = first === "default" ? "" : `?subscription=${encodeURIComponent(first)}`;
  return (
    <>
      <ProblemPanel error={error.value} />
      {found && found.all.length > 0 && (
        <Table
          title="Where it stands"
          rows={found.all}
          columns={columns}
          keyOf={({ subscription }) => subscription}
        />
      )}
      {found?.all.length === 0 && <p class="muted">Nobody has subscribed to its topic.</p>}
      {found && !found.isWhole && <p class="muted">These are the first {subscriptionsMax} subscriptions.</p>}
      <TwinPanel
        title="Why is it not delivered"
        twin={{
          cli: `hotswap subscription explain ${shellWord(topic)} ${shellWord(first)} --message ${messageId}`,
          curl: curl("GET", `/api/v1/messages/${encodeURIComponent(messageId)}/explain${query}`),
        }}
      />
    </>
  );
}

const tones: Record<string, Tone> = {
  done: "good",
  leased: "plain",
  blocked: "warn",
  parked: "warn",
  "dead-lettering": "bad",
  "dead-lettered": "bad",
  expired: "warn",
};

const columns: readonly Column<MessageExplanation>[] = [
  { head: "Subscription", cell: ({ subscription }) => subscription },
  { head: "State", cell: ({ state }) => <State tone={tones[state] ?? "plain"}>{state}</State> },
  { head: "Why", class: "wide", cell: (one) => <Why explanation={one} /> },
  { head: "Attempts", isNumber: true, cell: ({ attempts }) => attempts },
];

function Why({ explanation }: { explanation: MessageExplanation }) {
  const { detail, until, blockedBy, mismatch, lastReason, deadLetter } = explanation;
  const leftMs = until === undefined ? undefined : Date.parse(until) - serverNowMs();
  return (
    <>
      {detail}
      {leftMs !== undefined && leftMs > 0 && <small>{` Another ${duration(leftMs)}.`}</small>}
      {mismatch && (
        <small>
          {" "}
          <code>{mismatch.condition}</code> at <code>{mismatch.pointer}</code>
        </small>
      )}
      {lastReason && <small>{` Last failed: ${lastReason}`}</small>}
      {blockedBy && (
        <>
          {" "}
          <a href={href("messages", blockedBy.messageId)}>the message before it</a>
        </>
      )}
      {deadLetter && (
        <>
          {" "}
          <a href={href("messages", deadLetter)}>its dead letter</a>
        </>
      )}
    </>
  );
}
