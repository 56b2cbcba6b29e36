/** The dialog that creates a subscription. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { NewSubscription } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";

const places = [
  ["latest", "latest: what comes from now on"],
  ["earliest", "earliest: everything that is stored"],
] as const;
const deadlineDefault = 30;

export function CreateSubscription({ onClose }: { onClose(): void }) {
  const name = useSignal("");
  const topic = useSignal("");
  const from = useSignal<"latest" | "earliest">("latest");
  const deadline = useSignal(deadlineDefault);
  const topics = useSignal<readonly string[]>([]);
  const { isBusy, error, run } = useAction();
  useEffect(() => {
    // A list to choose from is a help; without it the name can be typed.
    hotswap()
      .topics.list({ limit: 100 })
      .then(
        ({ items }) => {
          topics.value = items.filter(({ type }) => type === "pubsub").map((one) => one.name);
        },
        () => {},
      );
  }, []);
  const subscription: NewSubscription = {
    name: name.value.trim(),
    topic: topic.value.trim(),
    from: from.value,
    ackDeadlineSeconds: deadline.value,
  };
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
        <Field id="subscription-name" label="Name" hint="Who consumes, such as billing">
          <input
            id="subscription-name"
            value={name.value}
            autocomplete="off"
            spellcheck={false}
            aria-describedby="subscription-name-hint"
            onInput={(event) => {
              name.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field
          id="subscription-topic"
          label="Topic"
          hint="Of type pubsub; a queue has one subscription of its own."
        >
          <input
            id="subscription-topic"
            list="subscription-topics"
            value={topic.value}
            autocomplete="off"
            spellcheck={false}
            aria-describedby="subscription-topic-hint"
            onInput={(event) => {
              topic.value = event.currentTarget.value;
            }}
          />
          <datalist id="subscription-topics">
            {topics.value.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </Field>
        <Field id="subscription-from" label="Begins at">
          <Select
            id="subscription-from"
            value={from.value}
            options={places}
            onChange={(value) => {
              from.value = value;
            }}
          />
        </Field>
        <Field
          id="subscription-deadline"
          label="Ack deadline, in seconds"
          hint="A message that is not acknowledged within it is delivered again. 1 to 43,200."
        >
          <input
            id="subscription-deadline"
            type="number"
            min={1}
            max={43_200}
            value={deadline.value}
            aria-describedby="subscription-deadline-hint"
            onInput={(event) => {
              deadline.value = event.currentTarget.valueAsNumber || deadlineDefault;
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <TwinPanel twin={twinOf(subscription)} />
        <footer>
          <button
            type="submit"
            class="button primary"
            disabled={subscription.name === "" || subscription.topic === "" || isBusy.value}
          >
            Create subscription
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function twinOf(subscription: NewSubscription): Twin {
  const name = subscription.name || "billing";
  const topic = subscription.topic || "events";
  const { from, ackDeadlineSeconds } = subscription;
  const options = [
    from !== "latest" && `--from ${from}`,
    ackDeadlineSeconds !== deadlineDefault && `--ack-deadline ${ackDeadlineSeconds}s`,
  ];
  return {
    cli: ["hotswap subscription create", shellWord(topic), shellWord(name), ...options.filter(Boolean)].join(
      " ",
    ),
    curl: curl("POST", "/api/v1/subscriptions", { ...subscription, name, topic }),
  };
}
