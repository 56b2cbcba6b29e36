/** A subscription's numbers: what waits, how fast it is worked off, and how to consume it. */
import type { Subscription } from "../../../client/src/index.ts";
import { count, duration, exact, rate } from "../format.ts";
import { Chart } from "../parts/chart.tsx";
import { Tile, Tiles } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { numbersOfSubscription } from "./live.ts";

export function SubscriptionActivity({ subscription }: { subscription: Subscription }) {
  const { series, stats } = numbersOfSubscription(subscription.id);
  const now = stats.value;
  if (!now) return null;
  series.revision.value; // subscribes
  const perSecond = (name: "delivered" | "acked") => rate(series.latest(name) ?? 0);
  const age = now.oldestUnackedAgeMs;
  return (
    <>
      <Tiles>
        <Tile label="Backlog" value={count(now.depth)} />
        <Tile label="In flight" value={count(now.inFlight)} />
        <Tile label="Oldest not acknowledged" value={age === null ? "–" : duration(age)} />
        <Tile label="Delivered" value={perSecond("delivered")} unit="/s" />
        <Tile label="Acknowledged" value={perSecond("acked")} unit="/s" />
      </Tiles>
      <div class="charts">
        <Chart
          title="Backlog"
          series={series}
          format={count}
          syncKey={subscription.id}
          lines={[
            { name: "lag", label: "waiting", color: 1 },
            { name: "inFlight", label: "in flight", color: 2 },
          ]}
        />
        <Chart
          title="Messages per second"
          series={series}
          format={rate}
          syncKey={subscription.id}
          lines={[
            { name: "delivered", label: "delivered", color: 2 },
            { name: "acked", label: "acknowledged", color: 3 },
            { name: "redelivered", label: "again", color: 1 },
          ]}
        />
      </div>
      <section class="panel">
        <h2>Since the server's start</h2>
        <dl class="rows">
          <div>
            <dt>Delivered</dt>
            <dd>{exact(now.deliveredTotal)}</dd>
          </div>
          <div>
            <dt>Delivered again</dt>
            <dd>{exact(now.redeliveredTotal)}</dd>
          </div>
          <div>
            <dt>Acknowledged</dt>
            <dd>{exact(now.ackedTotal)}</dd>
          </div>
          <div>
            <dt>Delayed now</dt>
            <dd>{exact(now.delayed)}</dd>
          </div>
        </dl>
      </section>
      <ConsumeTwin subscription={subscription} />
    </>
  );
}

export function ConsumeTwin({
  subscription: { name, topic },
}: {
  subscription: Pick<Subscription, "name" | "topic">;
}) {
  const isDefault = name === "default";
  const option = isDefault ? "" : ` --subscription ${shellWord(name)}`;
  const query = `${isDefault ? "" : `subscription=${encodeURIComponent(name)}&`}limit=10&wait=20`;
  return (
    <TwinPanel
      title="Consume it from a terminal"
      twin={{
        cli: `hotswap sub ${shellWord(topic)}${option}`,
        curl: curl("GET", `/api/v1/messages/consume/${encodeURIComponent(topic)}?${query}`),
      }}
    />
  );
}
