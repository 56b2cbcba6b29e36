/** The dialog that creates a topic. */
import { useSignal } from "@preact/signals";
import type { Durability, NewTopic, TopicType } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";

const types = [
  ["queue", "queue: one consumer gets it"],
  ["pubsub", "pubsub: each subscription gets it"],
] as const;

export const durabilities = [
  ["fsync", "fsync: survives power loss"],
  ["os", "os: survives a crash of HotSwap"],
  ["memory", "memory: fastest, lost on restart"],
] as const;

export function CreateTopic({ onClose }: { onClose(): void }) {
  const name = useSignal("");
  const type = useSignal<TopicType>("queue");
  const partitions = useSignal(1);
  const durability = useSignal<Durability>("fsync");
  const { isBusy, error, run } = useAction();
  const topic: NewTopic = {
    name: name.value.trim(),
    type: type.value,
    partitions: partitions.value,
    durability: durability.value,
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const created = await hotswap().topics.create(topic);
      go("topics", created.name);
    });
  };
  return (
    <Dialog title="Create a topic" onClose={onClose}>
      <form onSubmit={submit}>
        <Field id="topic-name" label="Name" hint="Letters, digits, and . _ - such as orders.created">
          <input
            id="topic-name"
            value={name.value}
            autocomplete="off"
            spellcheck={false}
            aria-describedby="topic-name-hint"
            onInput={(event) => {
              name.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field id="topic-type" label="Type">
          <Select
            id="topic-type"
            value={type.value}
            options={types}
            onChange={(value) => {
              type.value = value;
            }}
          />
        </Field>
        <Field
          id="topic-partitions"
          label="Partitions"
          hint="1 to 256. Order is kept per key. May grow later, never shrink."
        >
          <input
            id="topic-partitions"
            type="number"
            min={1}
            max={256}
            value={partitions.value}
            aria-describedby="topic-partitions-hint"
            onInput={(event) => {
              partitions.value = event.currentTarget.valueAsNumber || 1;
            }}
          />
        </Field>
        <Field id="topic-durability" label="Durability">
          <Select
            id="topic-durability"
            value={durability.value}
            options={durabilities}
            onChange={(value) => {
              durability.value = value;
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <TwinPanel twin={twinOf(topic)} />
        <footer>
          <button type="submit" class="button primary" disabled={topic.name === "" || isBusy.value}>
            Create topic
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function twinOf(topic: NewTopic): Twin {
  const name = topic.name || "orders";
  const { type, partitions, durability } = topic;
  const options = [
    type !== "queue" && `--type ${type}`,
    partitions !== 1 && `--partitions ${partitions}`,
    durability !== "fsync" && `--durability ${durability}`,
  ];
  return {
    cli: ["hotswap topic create", shellWord(name), ...options.filter(Boolean)].join(" "),
    curl: curl("POST", "/api/v1/topics", { ...topic, name }),
  };
}
