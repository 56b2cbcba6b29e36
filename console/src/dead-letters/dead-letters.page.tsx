/** The queues of dead letters, one for each topic of which messages were given up. */
import { useRef } from "preact/hooks";
import type { Topic } from "../../../client/src/index.ts";
import { count, plural } from "../format.ts";
import { number } from "../parts/number.tsx";
import { Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { numbersOf, refreshSome } from "../topics/live.ts";

export function DeadLettersPage() {
  const turn = useRef(0);
  const { answer, error } = useLive(async (signal) => {
    const queues: Topic[] = [];
    for await (const topic of hotswap().topics.all({ signal })) if (topic.deadLettersOf) queues.push(topic);
    await refreshSome(
      queues.map(({ name }) => name),
      turn.current++,
      signal,
    );
    return queues;
  });
  const all = answer.value;
  const shown = all?.filter(({ deadLettersOf }) => fits(deadLettersOf)) ?? [];
  return (
    <Page
      title="Dead letters"
      isBusy={all === undefined}
      error={error.value}
      lead={
        <p class="muted">
          {all && plural(all.length, "topic of which messages", "topics of which messages")} were given up
        </p>
      }
      actions={all && all.length > 0 && <SearchBox label="Search topics" />}
    >
      {all?.length === 0 && <NoDeadLetters />}
      {shown.length > 0 && (
        <Table
          rows={shown}
          columns={columns}
          keyOf={({ name }) => name}
          to={({ deadLettersOf }) => ["dead-letters", deadLettersOf!]}
        />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="topic" />}
    </Page>
  );
}

const columns: readonly Column<Topic>[] = [
  { head: "Topic", cell: ({ deadLettersOf }) => deadLettersOf },
  { head: "Queue", cell: ({ name }) => name },
  {
    head: "Waiting",
    isNumber: true,
    cell: ({ name }) => {
      const { series } = numbersOf(name);
      series.revision.value; // subscribes
      return number(series.latest("depth"), count);
    },
  },
  {
    head: "Waiting in the last minutes",
    isHeadHidden: true,
    class: "spark",
    cell: ({ name }) => <Sparkline series={numbersOf(name).series} name="depth" />,
  },
  { head: "Since", cell: ({ createdAt }) => createdAt.slice(0, 10) },
];

function NoDeadLetters() {
  return (
    <Empty title="No message was given up">
      <p>
        A message that fails as often as its subscription allows, or that a consumer rejects, goes to a queue
        of its own with the reason. To reject one by hand, with the receipt that it came with:
      </p>
      <TwinPanel
        twin={{
          cli: undefined,
          curl: curl("POST", "/api/v1/messages/nack", {
            items: [{ receipt: "…", deadLetter: true, reason: "no such customer" }],
          }),
        }}
      />
    </Empty>
  );
}
