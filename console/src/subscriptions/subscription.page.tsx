/** One subscription: how far it has come, what holds it up, and what it promises. */
import { useSignal } from "@preact/signals";
import type { Subscription } from "../../../client/src/index.ts";
import { duration } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page, Tabs, Traits } from "../parts/page.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { type Live, useLive } from "../poll.ts";
import { go, href } from "../route.ts";
import { hotswap } from "../session.ts";
import { numbersOf } from "../topics/live.ts";
import { SubscriptionActivity } from "./subscription-activity.tsx";
import { SubscriptionExplanationPanel } from "./subscription-explanation.tsx";
import { SubscriptionSettingsForm } from "./subscription-settings.tsx";
import { Webhook } from "./webhook.tsx";

const tabs = [
  ["", "Activity"],
  ["delivery", "Delivery"],
  ["webhook", "Webhook"],
  ["settings", "Settings"],
] as const;

export function SubscriptionPage({ id, tab = "" }: { id: string; tab: string | undefined }) {
  const isDeleting = useSignal(false);
  const { answer, error, refresh }: Live<Subscription> = useLive(
    async (signal): Promise<Subscription> => {
      if (isDeleting.value && answer.value) return answer.value;
      const subscription = await hotswap().subscriptions.get(id, { signal });
      await numbersOf(subscription.topic).refresh(subscription.topic, signal);
      return subscription;
    },
    { intervalMs: 1000 },
  );
  const subscription = answer.value;
  return (
    <Page
      title={subscription?.name ?? "Subscription"}
      within={["Subscriptions", "subscriptions"]}
      isBusy={subscription === undefined}
      error={error.value}
      lead={subscription && <Lead subscription={subscription} />}
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
      {subscription && (
        <>
          <Tabs label="Parts of the subscription" base={["subscriptions", id]} tabs={tabs} />
          {tab === "" && <SubscriptionActivity subscription={subscription} />}
          {tab === "delivery" && <SubscriptionExplanationPanel subscription={subscription} />}
          {tab === "webhook" && <Webhook subscription={subscription} />}
          {tab === "settings" && (
            <SubscriptionSettingsForm
              key={subscription.version}
              subscription={subscription}
              onSaved={refresh}
            />
          )}
        </>
      )}
      {subscription && isDeleting.value && (
        <DeleteSubscription
          subscription={subscription}
          onClose={() => {
            isDeleting.value = false;
          }}
        />
      )}
    </Page>
  );
}

function Lead({ subscription }: { subscription: Subscription }) {
  const { topic, ackMode, ackDeadlineSeconds, maxAttempts, createdAt } = subscription;
  return (
    <Traits
      all={[
        <>
          of <a href={href("topics", topic)}>{topic}</a>
        </>,
        ackMode.replaceAll("-", " "),
        `ack deadline ${duration(ackDeadlineSeconds * 1000)}`,
        subscription.filter && "with a filter",
        subscription.schemaVersion !== null && `reads by schema version ${subscription.schemaVersion}`,
        maxAttempts === 0 ? "attempts without a limit" : `${maxAttempts} attempts`,
        `since ${createdAt.slice(0, 10)}`,
      ]}
    />
  );
}

function DeleteSubscription({ subscription, onClose }: { subscription: Subscription; onClose(): void }) {
  const { id, name, topic } = subscription;
  return (
    <Confirm
      title={`Delete ${name}`}
      verb="Delete subscription"
      isDanger
      typed={name}
      twin={{
        cli: `hotswap subscription delete ${shellWord(topic)} ${shellWord(name)}`,
        curl: curl("DELETE", `/api/v1/subscriptions/${encodeURIComponent(id)}`),
      }}
      work={() => hotswap().subscriptions.delete(id)}
      onDone={() => go("subscriptions")}
      onClose={onClose}
    >
      <p>
        The topic and its messages stay. How far this subscription has come is forgotten; one of the same name
        begins anew.
      </p>
    </Confirm>
  );
}
