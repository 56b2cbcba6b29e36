/** A topic's numbers: rates, backlog, who consumes it and how its partitions fill. */
import type { PartitionStats, SubscriptionStats, Topic } from "../../../client/src/index.ts";
import { bytes, count, duration, exact, rate } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { number } from "../parts/number.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty, Tile, Tiles } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { ConsumeTwin } from "../subscriptions/subscription-activity.tsx";
import { numbersOf } from "./live.ts";

export function TopicActivity({ topic }: { topic: Topic }) {
  const { series, stats } = numbersOf(topic.name);
  const now = stats.value;
  if (!now) return null;
  series.revision.value; // subscribes
  const perSecond = (name: "published" | "delivered" | "acked") => rate(series.latest(name) ?? 0);
  return (
    <>
      <Tiles>
        <Tile label="Published" value={perSecond("published")} unit="/s" />
        <Tile label="Acknowledged" value={perSecond("acked")} unit="/s" />
        <Tile label="Backlog" value={count(series.latest("depth") ?? 0)} />
        <Tile label="In flight" value={count(series.latest("inFlight") ?? 0)} />
        <Tile label="Messages stored" value={count(now.messages)} unit={bytes(now.bytes)} />
      </Tiles>
      <div class="charts">
        <Chart
          title="Messages per second"
          series={series}
          format={rate}
          syncKey={topic.name}
          lines={[
            { name: "published", label: "published", color: 1 },
            { name: "delivered", label: "delivered", color: 2 },
            { name: "acked", label: "acknowledged", color: 3 },
          ]}
        />
        <Chart
          title="Backlog"
          series={series}
          format={count}
          syncKey={topic.name}
          lines={[
            { name: "depth", label: "not acknowledged", color: 1 },
            { name: "inFlight", label: "in flight", color: 2 },
          ]}
        />
      </div>
      {now.subscriptions.length > 0 ? (
        <Table
          title="Subscriptions"
          rows={now.subscriptions}
          columns={subscriptionColumns}
          keyOf={({ id }) => id}
          to={({ id }) => ["subscriptions", id]}
        />
      ) : (
        <NoSubscriptions topic={topic} />
      )}
      <Partitions all={now.partitions} />
      {now.subscriptions[0] && (
        <ConsumeTwin subscription={{ topic: topic.name, name: now.subscriptions[0].name }} />
      )}
    </>
  );
}

const subscriptionColumns: readonly Column<SubscriptionStats>[] = [
  { head: "Subscription", cell: ({ name }) => name },
  { head: "Backlog", isNumber: true, cell: ({ depth }) => exact(depth) },
  { head: "Lag", isNumber: true, cell: ({ lag }) => exact(lag) },
  { head: "In flight", isNumber: true, cell: ({ inFlight }) => exact(inFlight) },
  { head: "Delayed", isNumber: true, cell: ({ delayed }) => exact(delayed) },
  { head: "Oldest", isNumber: true, cell: ({ oldestUnackedAgeMs }) => number(oldestUnackedAgeMs, duration) },
  { head: "Delivered", isNumber: true, cell: ({ deliveredTotal }) => exact(deliveredTotal) },
  { head: "Again", isNumber: true, cell: ({ redeliveredTotal }) => exact(redeliveredTotal) },
  { head: "Acknowledged", isNumber: true, cell: ({ ackedTotal }) => exact(ackedTotal) },
];

function NoSubscriptions({ topic }: { topic: Topic }) {
  const body = { name: "mine", topic: topic.name };
  return (
    <Empty title="Nobody has subscribed yet">
      <p>A pubsub topic delivers to its subscriptions, each of which gets every message from then on.</p>
      <TwinPanel
        title="Subscribe"
        twin={{
          cli: `hotswap subscription create ${shellWord(topic.name)} mine`,
          curl: curl("POST", "/api/v1/subscriptions", body),
        }}
      />
    </Empty>
  );
}

function Partitions({ all }: { all: readonly PartitionStats[] }) {
  const fullest = Math.max(1, ...all.map((partition) => partition.bytes));
  const columns: readonly Column<PartitionStats>[] = [
    { head: "Partition", cell: ({ partition }) => partition },
    { head: "First offset", isNumber: true, cell: ({ start }) => exact(start) },
    { head: "Next offset", isNumber: true, cell: ({ end }) => exact(end) },
    { head: "Messages", isNumber: true, cell: ({ start, end }) => exact(end - start) },
    { head: "Stored", isNumber: true, cell: ({ bytes: stored }) => bytes(stored) },
    {
      head: "Stored beside the others",
      isHeadHidden: true,
      class: "meter-cell",
      cell: ({ bytes: stored }) => (
        <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
          <rect width={(100 * stored) / fullest} height="6" />
        </svg>
      ),
    },
  ];
  return <Table title="Partitions" rows={all} columns={columns} keyOf={({ partition }) => `${partition}`} />;
}
