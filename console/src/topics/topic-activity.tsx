/** A topic's numbers: rates, backlog, who consumes it and how its partitions fill. */
import type { PartitionStats, SubscriptionStats, Topic } from "../../../client/src/index.ts";
import { bytes, count, duration, exact, rate } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { Empty, Tile, Tiles } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
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
        <Subscriptions all={now.subscriptions} />
      ) : (
        <NoSubscriptions topic={topic} />
      )}
      <Partitions all={now.partitions} />
      {now.subscriptions[0] && <ConsumeTwin topic={topic} subscription={now.subscriptions[0].name} />}
    </>
  );
}

function ConsumeTwin({ topic, subscription }: { topic: Topic; subscription: string }) {
  const isDefault = subscription === "default";
  const option = isDefault ? "" : ` --subscription ${shellWord(subscription)}`;
  const query = `${isDefault ? "" : `subscription=${subscription}&`}limit=10&wait=20`;
  return (
    <TwinPanel
      title="Consume it from a terminal"
      twin={{
        cli: `hotswap sub ${shellWord(topic.name)}${option}`,
        curl: curl("GET", `/api/v1/messages/consume/${topic.name}?${query}`),
      }}
    />
  );
}

function Subscriptions({ all }: { all: readonly SubscriptionStats[] }) {
  return (
    <section class="panel table-panel">
      <h2>Subscriptions</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="number">
              Backlog
            </th>
            <th scope="col" class="number">
              In flight
            </th>
            <th scope="col" class="number">
              Delayed
            </th>
            <th scope="col" class="number">
              Oldest
            </th>
            <th scope="col" class="number">
              Delivered
            </th>
            <th scope="col" class="number">
              Again
            </th>
            <th scope="col" class="number">
              Acknowledged
            </th>
          </tr>
        </thead>
        <tbody>
          {all.map((subscription) => (
            <tr key={subscription.id}>
              <th scope="row">{subscription.name}</th>
              <td data-label="Backlog" class="number">
                {exact(subscription.depth)}
              </td>
              <td data-label="In flight" class="number">
                {exact(subscription.inFlight)}
              </td>
              <td data-label="Delayed" class="number">
                {exact(subscription.delayed)}
              </td>
              <td data-label="Oldest" class="number">
                {subscription.oldestUnackedAgeMs ? duration(subscription.oldestUnackedAgeMs) : "–"}
              </td>
              <td data-label="Delivered" class="number">
                {exact(subscription.deliveredTotal)}
              </td>
              <td data-label="Again" class="number">
                {exact(subscription.redeliveredTotal)}
              </td>
              <td data-label="Acknowledged" class="number">
                {exact(subscription.ackedTotal)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

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
  return (
    <section class="panel table-panel">
      <h2>Partitions</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Partition</th>
            <th scope="col" class="number">
              First offset
            </th>
            <th scope="col" class="number">
              Next offset
            </th>
            <th scope="col" class="number">
              Messages
            </th>
            <th scope="col" class="number">
              Stored
            </th>
            <td />
          </tr>
        </thead>
        <tbody>
          {all.map(({ partition, start, end, bytes: stored }) => (
            <tr key={partition}>
              <th scope="row">{partition}</th>
              <td data-label="First offset" class="number">
                {exact(start)}
              </td>
              <td data-label="Next offset" class="number">
                {exact(end)}
              </td>
              <td data-label="Messages" class="number">
                {exact(end - start)}
              </td>
              <td data-label="Stored" class="number">
                {bytes(stored)}
              </td>
              <td class="meter-cell">
                <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
                  <rect width={(100 * stored) / fullest} height="6" />
                </svg>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
