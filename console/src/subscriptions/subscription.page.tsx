/** One subscription: how far it has come, and what holds it up. */
import { useSignal } from "@preact/signals";
import type { Subscription } from "../../../client/src/index.ts";
import { duration } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page, Traits } from "../parts/page.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { go, href } from "../route.ts";
import { hotswap } from "../session.ts";
import { numbersOf } from "../topics/live.ts";
import { SubscriptionActivity } from "./subscription-activity.tsx";

export function SubscriptionPage({ id }: { id: string; tab: string | undefined }) {
  const known = useSignal<Subscription | undefined>(undefined);
  const isDeleting = useSignal(false);
  const { error } = useLive(
    async (signal) => {
      if (isDeleting.value) return;
      known.value ??= await hotswap().subscriptions.get(id, { signal });
      await numbersOf(known.value.topic).refresh(known.value.topic, signal);
    },
    { intervalMs: 1000 },
  );
  const subscription = known.value;
  return (
    <Page
      title={subscription?.name ?? "Subscription"}
      within={["Subscriptions", "subscriptions"]}
      isBusy={subscription === undefined}
      error={error.value}
      lead={
        subscription && (
          <Traits
            all={[
              <>
                of <a href={href("topics", subscription.topic)}>{subscription.topic}</a>
              </>,
              `ack deadline ${duration(subscription.ackDeadlineSeconds * 1000)}`,
              `since ${subscription.createdAt.slice(0, 10)}`,
            ]}
          />
        )
      }
      actions={
        subscription && (
          <button
            type="button"
            class="button"
            onClick={() => {
              isDeleting.value = true;
            }}
          >
            <Icon name="trash" /> Delete
          </button>
        )
      }
    >
      {subscription && <SubscriptionActivity subscription={subscription} />}
      {subscription && isDeleting.value && (
        <Confirm
          title={`Delete ${subscription.name}`}
          verb="Delete subscription"
          isDanger
          typed={subscription.name}
          twin={{
            cli: `hotswap subscription delete ${shellWord(subscription.topic)} ${shellWord(subscription.name)}`,
            curl: curl("DELETE", `/api/v1/subscriptions/${encodeURIComponent(id)}`),
          }}
          work={() => hotswap().subscriptions.delete(id)}
          onDone={() => go("subscriptions")}
          onClose={() => {
            isDeleting.value = false;
          }}
        >
          <p>
            The topic and its messages stay. How far this subscription has come is forgotten; one of the same
            name begins anew.
          </p>
        </Confirm>
      )}
    </Page>
  );
}
