/** What of a topic can change: how safely it keeps messages, for how long, in how many partitions. */
import { useSignal } from "@preact/signals";
import type { Durability, Topic, TopicChange } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import { durabilities } from "./create-topic.tsx";

interface TopicSettingsProps {
  topic: Topic;
  onSaved(topic: Topic): void;
}

export function TopicSettings({ topic, onSaved }: TopicSettingsProps) {
  const description = useSignal(topic.description);
  const partitions = useSignal(topic.partitions);
  const durability = useSignal<Durability>(topic.durability);
  const dedupWindow = useSignal(topic.dedupWindowSeconds);
  const ttl = useSignal(topic.messageTtlSeconds === null ? "" : `${topic.messageTtlSeconds}`);
  const { isBusy, error, run } = useAction();
  const ttlSeconds = Number.parseInt(ttl.value, 10);
  const wanted = {
    description: description.value,
    partitions: partitions.value,
    durability: durability.value,
    dedupWindowSeconds: dedupWindow.value,
    messageTtlSeconds: ttlSeconds > 0 ? ttlSeconds : null,
  };
  const names = Object.keys(wanted) as (keyof typeof wanted)[];
  const change: TopicChange = Object.fromEntries(
    names.filter((name) => wanted[name] !== topic[name]).map((name) => [name, wanted[name]]),
  );
  const isChanged = Object.keys(change).length > 0;
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => onSaved(await hotswap().topics.update(topic.name, topic.version, change)));
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit}>
        <Field id="topic-description" label="Description">
          <input
            id="topic-description"
            value={description.value}
            autocomplete="off"
            onInput={(event) => {
              description.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field id="topic-partitions" label="Partitions" hint="May grow, never shrink.">
          <input
            id="topic-partitions"
            type="number"
            min={topic.partitions}
            max={256}
            value={partitions.value}
            aria-describedby="topic-partitions-hint"
            onInput={(event) => {
              partitions.value = event.currentTarget.valueAsNumber || topic.partitions;
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
        <Field
          id="topic-dedup"
          label="Idempotency keys are remembered for, in seconds"
          hint="A message with a key that was published within this time is stored once. 0: not at all."
        >
          <input
            id="topic-dedup"
            type="number"
            min={0}
            max={86_400}
            value={dedupWindow.value}
            aria-describedby="topic-dedup-hint"
            onInput={(event) => {
              dedupWindow.value = event.currentTarget.valueAsNumber || 0;
            }}
          />
        </Field>
        <Field
          id="topic-ttl"
          label="Messages expire after, in seconds"
          hint="What is older is not delivered any more, unless a message says its own. Empty: never."
        >
          <input
            id="topic-ttl"
            type="number"
            min={1}
            placeholder="never"
            value={ttl.value}
            aria-describedby="topic-ttl-hint"
            onInput={(event) => {
              ttl.value = event.currentTarget.value;
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <footer>
          <button type="submit" class="button primary" disabled={!isChanged || isBusy.value}>
            Save
          </button>
        </footer>
      </form>
      <TwinPanel
        twin={{
          cli: undefined,
          curl: curl("PUT", `/api/v1/topics/${encodeURIComponent(topic.name)}`, change, {
            "if-match": `"${topic.version}"`,
          }),
        }}
      />
    </div>
  );
}
