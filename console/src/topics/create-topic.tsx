/** The dialog that creates a topic. */
import { useSignal } from "@preact/signals";
import type { NewTopic } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Dialog } from "../parts/dialog.tsx";
import { differences, Input, useDraft } from "../parts/input.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { useSubjects } from "../schemas/subjects.ts";
import { hotswap } from "../session.ts";
import {
  BasicTopicFields,
  freshTopic,
  MoreTopicFields,
  settingsOf,
  type TopicSettings,
  topicOptions,
} from "./topic-fields.tsx";

export function CreateTopic({ onClose }: { onClose(): void }) {
  const name = useSignal("");
  const draft = useDraft(freshTopic);
  const subjects = useSubjects();
  const { isBusy, error, run } = useAction();
  const settings = differences<TopicSettings>(settingsOf(freshTopic), settingsOf(draft.now));
  const topic: NewTopic = { name: name.value.trim(), ...settings };
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
        <Input
          id="topic-name"
          label="Name"
          hint="Letters, digits, and . _ - such as orders.created"
          value={name.value}
          onChange={(value) => {
            name.value = value;
          }}
        />
        <BasicTopicFields draft={draft} isNew />
        <details class="more">
          <summary>Routing, retention, schema and more</summary>
          <MoreTopicFields draft={draft} isNew subjects={subjects} />
        </details>
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

function twinOf({ name: given, ...settings }: NewTopic): Twin {
  const name = given || "orders";
  return {
    cli: `hotswap topic create ${shellWord(name)}${topicOptions(settings)}`,
    curl: curl("POST", "/api/v1/topics", { name, ...settings }),
  };
}
