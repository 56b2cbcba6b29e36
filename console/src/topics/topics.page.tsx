/** All topics with what they do right now. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Topic } from "../../../client/src/index.ts";
import { bytes, count, plural, rate } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { number } from "../parts/number.tsx";
import { Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { CreateTopic } from "./create-topic.tsx";
import { numbersOf, refreshSome } from "./live.ts";

const pageSize = 100;

export function TopicsPage() {
  const isCreating = useSignal(false);
  const turn = useRef(0);
  const { answer, error } = useLive(async (signal) => {
    const page = await hotswap().topics.list({ limit: pageSize, signal });
    await refreshSome(
      page.items.map(({ name }) => name),
      turn.current++,
      signal,
    );
    return page;
  });
  const topics = answer.value?.items;
  const shown = topics?.filter(({ name, type, description }) => fits(name, type, description)) ?? [];
  return (
    <Page
      title="Topics"
      isBusy={topics === undefined}
      error={error.value}
      lead={<p class="muted">{topics && plural(topics.length, "topic")}</p>}
      actions={
        <>
          {topics && topics.length > 0 && <SearchBox label="Search topics" />}
          <button
            type="button"
            class="button primary"
            onClick={() => {
              isCreating.value = true;
            }}
          >
            <Icon name="plus" /> Create topic
          </button>
        </>
      }
    >
      {topics?.length === 0 && <NoTopics />}
      {shown.length > 0 && (
        <Table
          rows={shown}
          columns={columns}
          keyOf={({ name }) => name}
          to={({ name }) => ["topics", name]}
        />
      )}
      {topics && topics.length > 0 && shown.length === 0 && <NothingFits what="topic" />}
      {answer.value?.next && (
        <p class="muted">These are the first {pageSize}. See all with: hotswap topic list</p>
      )}
      {shown.length > 0 && (
        <TwinPanel twin={{ cli: "hotswap topic list", curl: curl("GET", "/api/v1/topics") }} />
      )}
      {isCreating.value && (
        <CreateTopic
          onClose={() => {
            isCreating.value = false;
          }}
        />
      )}
    </Page>
  );
}

/** The newest of a topic's numbers; reading it draws again with each sample. */
function latest(topic: Topic, name: "depth" | "inFlight" | "published" | "delivered") {
  const { series } = numbersOf(topic.name);
  series.revision.value; // subscribes
  return series.latest(name);
}

const columns: readonly Column<Topic>[] = [
  { head: "Topic", cell: ({ name }) => name, note: ({ description }) => description },
  { head: "Type", cell: ({ type }) => type },
  { head: "Partitions", isNumber: true, cell: ({ partitions }) => partitions },
  { head: "Durability", cell: ({ durability }) => durability },
  { head: "Backlog", isNumber: true, cell: (topic) => number(latest(topic, "depth"), count) },
  { head: "In flight", isNumber: true, cell: (topic) => number(latest(topic, "inFlight"), count) },
  { head: "Published", isNumber: true, cell: (topic) => number(latest(topic, "published"), rate, "/s") },
  {
    head: "Published in the last minutes",
    isHeadHidden: true,
    class: "spark",
    cell: ({ name }) => <Sparkline series={numbersOf(name).series} name="published" />,
  },
  { head: "Delivered", isNumber: true, cell: (topic) => number(latest(topic, "delivered"), rate, "/s") },
  {
    head: "Stored",
    isNumber: true,
    cell: ({ name }) => number(numbersOf(name).stats.value?.bytes, bytes),
  },
];

function NoTopics() {
  return (
    <Empty title="There are no topics yet">
      <p>A topic takes messages in and keeps them until its consumers are done. Create one here, or by:</p>
      <Command text="hotswap topic create orders" />
    </Empty>
  );
}
