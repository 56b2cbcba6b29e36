/** All subscriptions with how far each has come. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Subscription } from "../../../client/src/index.ts";
import { count, duration, plural, rate } from "../format.ts";
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
import { refreshSome } from "../topics/live.ts";
import { CreateSubscription } from "./create-subscription.tsx";
import { numbersOfSubscription, type SubscriptionLine } from "./live.ts";

const pageSize = 100;

export function SubscriptionsPage() {
  const isCreating = useSignal(false);
  const turn = useRef(0);
  const { answer, error } = useLive(async (signal) => {
    const page = await hotswap().subscriptions.list({ limit: pageSize, signal });
    await refreshSome([...new Set(page.items.map(({ topic }) => topic))], turn.current++, signal);
    return page;
  });
  const all = answer.value?.items;
  const shown = all?.filter(({ name, topic }) => fits(name, topic)) ?? [];
  return (
    <Page
      title="Subscriptions"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && plural(all.length, "subscription")}</p>}
      actions={
        <>
          {all && all.length > 0 && <SearchBox label="Search subscriptions" />}
          <button
            type="button"
            class="button primary"
            onClick={() => {
              isCreating.value = true;
            }}
          >
            <Icon name="plus" /> Create subscription
          </button>
        </>
      }
    >
      {all?.length === 0 && <NoSubscriptions />}
      {shown.length > 0 && (
        <Table rows={shown} columns={columns} keyOf={({ id }) => id} to={({ id }) => ["subscriptions", id]} />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="subscription" />}
      {answer.value?.next && (
        <p class="muted">These are the first {pageSize}. See all with: hotswap subscription list</p>
      )}
      {shown.length > 0 && (
        <TwinPanel twin={{ cli: "hotswap subscription list", curl: curl("GET", "/api/v1/subscriptions") }} />
      )}
      {isCreating.value && (
        <CreateSubscription
          onClose={() => {
            isCreating.value = false;
          }}
        />
      )}
    </Page>
  );
}

function latest({ id }: Subscription, name: SubscriptionLine) {
  const { series } = numbersOfSubscription(id);
  series.revision.value; // subscribes
  return series.latest(name);
}

const columns: readonly Column<Subscription>[] = [
  { head: "Subscription", cell: ({ name }) => name },
  { head: "Topic", cell: ({ topic }) => topic },
  { head: "Backlog", isNumber: true, cell: (one) => number(latest(one, "depth"), count) },
  {
    head: "Backlog in the last minutes",
    isHeadHidden: true,
    class: "spark",
    cell: ({ id }) => <Sparkline series={numbersOfSubscription(id).series} name="depth" />,
  },
  { head: "In flight", isNumber: true, cell: (one) => number(latest(one, "inFlight"), count) },
  {
    head: "Oldest",
    isNumber: true,
    cell: ({ id }) => number(numbersOfSubscription(id).stats.value?.oldestUnackedAgeMs, duration),
  },
  { head: "Delivered", isNumber: true, cell: (one) => number(latest(one, "delivered"), rate, "/s") },
  { head: "Acknowledged", isNumber: true, cell: (one) => number(latest(one, "acked"), rate, "/s") },
];

function NoSubscriptions() {
  return (
    <Empty title="There are no subscriptions yet">
      <p>
        A subscription is a place in a topic, and knows of each message whether it is done. A queue has one of
        its own from its first consumer on; a pubsub topic has as many as you create:
      </p>
      <Command text="hotswap subscription create events billing" />
    </Empty>
  );
}
