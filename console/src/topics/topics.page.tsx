/** All topics with what they do right now. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Topic } from "../../../client/src/index.ts";
import { bytes, count, plural, rate } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { Sparkline } from "../parts/sparkline.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { usePolling } from "../poll.ts";
import { go, href } from "../route.ts";
import { hotswap } from "../session.ts";
import { CreateTopic } from "./create-topic.tsx";
import { numbersOf } from "./live.ts";

/** Topics of which numbers are asked per turn; with more, they take turns. */
const asksPerTurn = 12;
const pageSize = 100;

export function TopicsPage() {
  const topics = useSignal<Topic[] | undefined>(undefined);
  const isCut = useSignal(false);
  const error = useSignal<unknown>(undefined);
  const filter = useSignal("");
  const isCreating = useSignal(false);
  const turn = useRef(0);

  usePolling(() => ({
    intervalMs: 2000,
    async ask(signal) {
      const page = await hotswap().topics.list({ limit: pageSize, signal });
      topics.value = page.items;
      isCut.value = page.next !== null;
      const start = turn.current++ * asksPerTurn;
      const due = Array.from({ length: Math.min(asksPerTurn, page.items.length) }, (_, index) => {
        return page.items[(start + index) % page.items.length]!.name;
      });
      // A topic may be deleted between the two questions; the next list tells.
      await Promise.allSettled(due.map((name) => numbersOf(name).refresh(name, signal)));
      error.value = undefined;
    },
    onFailure: (failure) => {
      error.value = failure;
    },
  }));

  const shown = topics.value?.filter(({ name }) => name.includes(filter.value.trim()));
  return (
    <section class="page" aria-busy={topics.value === undefined}>
      <header class="page-head">
        <div>
          <h1>Topics</h1>
          <p class="muted">{topics.value && plural(topics.value.length, "topic")}</p>
        </div>
        <div class="actions">
          {topics.value && topics.value.length > 8 && (
            <input
              type="search"
              placeholder="Filter by name"
              aria-label="Filter by name"
              value={filter.value}
              onInput={(event) => {
                filter.value = event.currentTarget.value;
              }}
            />
          )}
          <button
            type="button"
            class="button primary"
            onClick={() => {
              isCreating.value = true;
            }}
          >
            <Icon name="plus" /> Create topic
          </button>
        </div>
      </header>
      <ProblemPanel error={error.value} />
      {topics.value?.length === 0 && <NoTopics />}
      {shown && shown.length > 0 && <TopicTable topics={shown} />}
      {shown?.length === 0 && filter.value && <p class="muted">No topic has “{filter.value}” in its name.</p>}
      {isCut.value && <p class="muted">These are the first {pageSize}. See all with: hotswap topic list</p>}
      {shown && shown.length > 0 && (
        <TwinPanel twin={{ cli: "hotswap topic list", curl: curl("GET", "/api/v1/topics") }} />
      )}
      {isCreating.value && (
        <CreateTopic
          onClose={() => {
            isCreating.value = false;
          }}
        />
      )}
    </section>
  );
}

function TopicTable({ topics }: { topics: readonly Topic[] }) {
  return (
    <div class="panel table-panel">
      <table class="topics">
        <thead>
          <tr>
            <th scope="col">Topic</th>
            <th scope="col">Type</th>
            <th scope="col" class="number">
              Partitions
            </th>
            <th scope="col">Durability</th>
            <th scope="col" class="number">
              Backlog
            </th>
            <th scope="col" class="number">
              In flight
            </th>
            <th scope="col" class="number">
              Published
            </th>
            <th scope="col">
              <span class="visually-hidden">Published in the last minutes</span>
            </th>
            <th scope="col" class="number">
              Delivered
            </th>
            <th scope="col" class="number">
              Stored
            </th>
          </tr>
        </thead>
        <tbody>
          {topics.map((topic) => (
            <TopicRow key={topic.name} topic={topic} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function TopicRow({ topic }: { topic: Topic }) {
  const { series, stats } = numbersOf(topic.name);
  series.revision.value; // subscribes
  const number = (value: number | null | undefined, format: (value: number) => string, unit = "") =>
    value === null || value === undefined ? <span class="muted">–</span> : `${format(value)}${unit}`;
  return (
    <tr onClick={() => go("topics", topic.name)}>
      <th scope="row">
        <a href={href("topics", topic.name)} onClick={(event) => event.stopPropagation()}>
          {topic.name}
        </a>
        {topic.description && <small>{topic.description}</small>}
      </th>
      <td data-label="Type">{topic.type}</td>
      <td data-label="Partitions" class="number">
        {topic.partitions}
      </td>
      <td data-label="Durability">{topic.durability}</td>
      <td data-label="Backlog" class="number">
        {number(series.latest("depth"), count)}
      </td>
      <td data-label="In flight" class="number">
        {number(series.latest("inFlight"), count)}
      </td>
      <td data-label="Published" class="number">
        {number(series.latest("published"), rate, "/s")}
      </td>
      <td class="spark">
        <Sparkline series={series} name="published" />
      </td>
      <td data-label="Delivered" class="number">
        {number(series.latest("delivered"), rate, "/s")}
      </td>
      <td data-label="Stored" class="number">
        {number(stats.value?.bytes, bytes)}
      </td>
    </tr>
  );
}

function NoTopics() {
  return (
    <Empty title="There are no topics yet">
      <p>A topic takes messages in and keeps them until its consumers are done. Create one here, or by:</p>
      <Command text="hotswap topic create orders" />
    </Empty>
  );
}
