/** The dialog that creates a subscription. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { NewSubscription, SubscriptionSettings } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Choice, differences, Input, useDraft } from "../parts/input.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";
import {
  ContentFields,
  DeadlineField,
  FailureFields,
  freshSubscription,
  settingsOf,
  subscriptionOptions,
} from "./subscription-fields.tsx";

const places = [
  ["latest", "latest: what comes from now on"],
  ["earliest", "earliest: everything that is stored"],
] as const;

const fresh = settingsOf(freshSubscription)!;

export function CreateSubscription({ onClose }: { onClose(): void }) {
  const names = useDraft({ name: "", topic: "", from: "latest" as "latest" | "earliest" });
  const draft = useDraft(freshSubscription);
  const topics = usePubsubTopics();
  const { isBusy, error, run } = useAction();
  const settings = settingsOf(draft.now);
  const subscription: NewSubscription = {
    name: names.now.name.trim(),
    topic: names.now.topic.trim(),
    from: names.now.from,
    ...(settings && differences<SubscriptionSettings>(fresh, settings)),
  };
  const isReady = settings !== undefined && subscription.name !== "" && subscription.topic !== "";
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const created = await hotswap().subscriptions.create(subscription);
      go("subscriptions", created.id);
    });
  };
  return (
    <Dialog title="Create a subscription" onClose={onClose}>
      <form onSubmit={submit}>
        <Input
          id="subscription-name"
          label="Name"
          hint="Who consumes, such as billing"
          value={names.now.name}
          onChange={(name) => names.set({ name })}
        />
        <Input
          id="subscription-topic"
          label="Topic"
          hint="Of type pubsub; a queue has one subscription of its own."
          list="subscription-topics"
          value={names.now.topic}
          onChange={(topic) => names.set({ topic })}
        />
        <datalist id="subscription-topics">
          {topics.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <Choice
          id="subscription-from"
          label="Begins at"
          value={names.now.from}
          options={places}
          onChange={(from) => names.set({ from })}
        />
        <DeadlineField draft={draft} />
        <details class="more">
          <summary>Filter, failures and more</summary>
          <ContentFields draft={draft} />
          <FailureFields draft={draft} />
        </details>
        <ProblemPanel error={error.value} />
        <TwinPanel twin={twinOf(subscription)} />
        <footer>
          <button type="submit" class="button primary" disabled={!isReady || isBusy.value}>
            Create subscription
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** A list to choose from is a help; without it the name can be typed. */
function usePubsubTopics(): readonly string[] {
  const topics = useSignal<readonly string[]>([]);
  useEffect(() => {
    hotswap()
      .topics.list({ limit: 100 })
      .then(
        ({ items }) => {
          topics.value = items.filter(({ type }) => type === "pubsub").map((one) => one.name);
        },
        () => {},
      );
  }, []);
  return topics.value;
}

function twinOf({ name: given, topic: of, from, ...settings }: NewSubscription): Twin {
  const name = given || "billing";
  const topic = of || "events";
  const begins = from === "earliest" ? " --from earliest" : "";
  const options = `${begins}${subscriptionOptions(settings)}`;
  return {
    cli: `hotswap subscription create ${shellWord(topic)} ${shellWord(name)}${options}`,
    curl: curl("POST", "/api/v1/subscriptions", { name, topic, from, ...settings }),
  };
}
