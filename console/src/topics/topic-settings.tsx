/** What of a topic can change: how safely it keeps messages, for how long, for whom, and what they must fit. */
import type { Topic } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { differences, useDraft } from "../parts/input.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useSubjects } from "../schemas/subjects.ts";
import { hotswap } from "../session.ts";
import {
  BasicTopicFields,
  draftOf,
  MoreTopicFields,
  settingsOf,
  type TopicSettings,
  topicOptions,
} from "./topic-fields.tsx";

interface TopicSettingsProps {
  topic: Topic;
  onSaved(topic: Topic): void;
}

export function TopicSettingsForm({ topic, onSaved }: TopicSettingsProps) {
  const draft = useDraft(draftOf(topic));
  const subjects = useSubjects();
  const { isBusy, error, run } = useAction();
  const change = differences<TopicSettings>(settingsOf(draftOf(topic)), settingsOf(draft.now));
  const isChanged = Object.keys(change).length > 0;
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => onSaved(await hotswap().topics.update(topic.name, topic.version, change)));
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit}>
        <BasicTopicFields draft={draft} isNew={false} />
        <MoreTopicFields draft={draft} isNew={false} subjects={subjects} />
        <ProblemPanel error={error.value} />
        <footer>
          <button type="submit" class="button primary" disabled={!isChanged || isBusy.value}>
            Save
          </button>
        </footer>
      </form>
      <TwinPanel
        twin={{
          cli: `hotswap topic update ${shellWord(topic.name)}${topicOptions(change)}`,
          curl: curl("PUT", `/api/v1/topics/${encodeURIComponent(topic.name)}`, change, {
            "if-match": `"${topic.version}"`,
          }),
        }}
      />
    </div>
  );
}
