/**
 * The workbench for a topic's dead letters: why messages were given up, which of them, and what becomes of them:
 * delivered again to the subscription that failed, or dealt with for good.
 */
import { useSignal } from "@preact/signals";
import type { DeadLetterList } from "../../../client/src/index.ts";
import { ago, exact, plural } from "../format.ts";
import { MessageList, opened } from "../messages/message-list.tsx";
import { serverNowMs } from "../overview/live.ts";
import { Page } from "../parts/page.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { type Live, useLive } from "../poll.ts";
import { ask, href, query } from "../route.ts";
import { hotswap } from "../session.ts";
import { ReplayForm } from "./replay-form.tsx";
import { Replays } from "./replays.tsx";
import { selection, selectionFlags } from "./selection.ts";

const pageSize = 50;

type Group = DeadLetterList["groups"][number];

export function DeadLetterQueuePage({ topic }: { topic: string }) {
  const ticked = useSignal<ReadonlySet<string>>(new Set());
  const { answer, error, refresh }: Live<DeadLetterList> = useLive(
    async (signal): Promise<DeadLetterList> => {
      if (opened() && answer.value) return answer.value; // or the list would run away
      return hotswap().deadLetters.list(topic, { ...selection(), limit: pageSize, signal });
    },
    { watch: () => [selection(), opened()] },
  );
  const list = answer.value;
  const chosen = selection();
  const isNarrowed = Object.keys(chosen).length > 0;
  const asked = isNarrowed ? `?${new URLSearchParams({ ...chosen })}` : "";
  const path = `/api/v1/topics/${encodeURIComponent(topic)}/dlq${asked}`;
  return (
    <Page
      title={`Dead letters of ${topic}`}
      within={["Dead letters", "dead-letters"]}
      isBusy={list === undefined}
      error={error.value}
      lead={
        <p class="muted">
          {list && `${plural(list.total, "message")}${isNarrowed ? " of this kind" : ""} · `}
          <a href={href("topics", topic)}>{topic}</a>
        </p>
      }
    >
      {list && (
        <>
          {list.groups.length > 0 && <Groups all={list.groups} />}
          <Narrow />
          {!list.complete && <p class="muted">Only the oldest 100,000 were looked at.</p>}
          {list.messages.length > 0 && <MessageList messages={list.messages} ticked={ticked} />}
          {list.total === 0 && <Nothing isNarrowed={isNarrowed} />}
          {list.total > 0 && (
            <ReplayForm
              topic={topic}
              selection={chosen}
              total={list.total}
              ticked={ticked}
              onBegun={refresh}
            />
          )}
        </>
      )}
      <Replays topic={topic} />
      <TwinPanel
        twin={{
          cli: `hotswap dlq list ${shellWord(topic)}${selectionFlags(chosen)}`,
          curl: curl("GET", path),
        }}
      />
    </Page>
  );
}

const since = (time: string) => ago(serverNowMs() - Date.parse(time));

function Groups({ all }: { all: readonly Group[] }) {
  const isChosen = ({ subscription, reason }: Group) =>
    query.value.subscription === subscription && query.value.reason === reason;
  const columns: readonly Column<Group>[] = [
    { head: "Why", cell: ({ reason }) => reason },
    {
      head: "Cause",
      cell: ({ cause }) => (
        <State tone={cause === "rejected" ? "bad" : "warn"}>
          {cause === "attempts" ? "attempts spent" : cause}
        </State>
      ),
    },
    { head: "Subscription", cell: ({ subscription }) => subscription },
    { head: "Messages", isNumber: true, cell: ({ count }) => exact(count) },
    { head: "First", isNumber: true, cell: ({ firstAt }) => since(firstAt) },
    { head: "Last", isNumber: true, cell: ({ lastAt }) => since(lastAt) },
    {
      head: "Narrow",
      isHeadHidden: true,
      cell: (group) => (
        <button
          type="button"
          class="button small"
          aria-pressed={isChosen(group)}
          onClick={() => {
            const { subscription, reason } = group;
            const wanted = isChosen(group) ? { subscription: "", reason: "" } : { subscription, reason };
            ask({ ...wanted, open: "" });
          }}
        >
          {isChosen(group) ? "Show all" : "Only these"}
        </button>
      ),
    },
  ];
  return (
    <Table
      title="By reason"
      rows={all}
      columns={columns}
      keyOf={({ subscription, cause, reason }) => `${subscription}\n${cause}\n${reason}`}
    />
  );
}

/** When they were given up. The group is chosen above. */
function Narrow() {
  const box = (name: "from" | "to", label: string) => (
    <label class="inline-field">
      {label}
      <input
        type="datetime-local"
        value={query.value[name] ?? ""}
        onChange={(event) => ask({ [name]: event.currentTarget.value, open: "" })}
      />
    </label>
  );
  return (
    <div class="toolbar">
      {box("from", "Given up from")}
      {box("to", "until")}
      {Object.keys(selection()).length > 0 && (
        <button
          type="button"
          class="button small"
          onClick={() => ask({ subscription: "", reason: "", from: "", to: "", open: "" })}
        >
          Show all
        </button>
      )}
    </div>
  );
}

function Nothing({ isNarrowed }: { isNarrowed: boolean }) {
  return (
    <Empty title={isNarrowed ? "No dead letter fits" : "All dead letters are dealt with"}>
      <p>
        {isNarrowed
          ? "None of those that wait is of this kind."
          : "New ones appear here by themselves. What was replayed is listed below."}
      </p>
    </Empty>
  );
}
