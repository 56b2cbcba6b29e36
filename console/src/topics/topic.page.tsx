/** One topic: what it does, what lies in it, and a way to put something in. */
import { useSignal } from "@preact/signals";
import type { Topic } from "../../../client/src/index.ts";
import { bytes, duration, plural } from "../format.ts";
import { Icon } from "../parts/icon.tsx";
import { Page, Tabs, Traits } from "../parts/page.tsx";
import { useLive } from "../poll.ts";
import { hrefWith } from "../route.ts";
import { hotswap } from "../session.ts";
import { DeleteTopic } from "./delete-topic.tsx";
import { numbersOf } from "./live.ts";
import { PublishForm } from "./publish-form.tsx";
import { TopicActivity } from "./topic-activity.tsx";
import { TopicMessages } from "./topic-messages.tsx";
import { TopicScheduled } from "./topic-scheduled.tsx";
import { TopicSettingsForm } from "./topic-settings.tsx";

const tabs = [
  ["", "Activity"],
  ["messages", "Messages"],
  ["scheduled", "Scheduled"],
  ["publish", "Publish"],
  ["settings", "Settings"],
] as const;

function keptText({ retentionSeconds, retentionBytes }: Topic): string {
  const time =
    retentionSeconds === 0
      ? "kept until done"
      : retentionSeconds === null
        ? "kept while there is room"
        : `kept for ${duration(retentionSeconds * 1000)}`;
  return retentionBytes === null ? time : `${time}, up to ${bytes(retentionBytes)}`;
}

const schemaText = ({ subject, version, enforcement }: NonNullable<Topic["schema"]>) =>
  `${subject}${version === null ? "" : `, version ${version}`}${enforcement === "warn" ? ", only counted" : ""}`;

export function TopicPage({ name, tab = "" }: { name: string; tab: string | undefined }) {
  const known = useSignal<Topic | undefined>(undefined);
  const isDeleting = useSignal(false);
  const { error } = useLive(
    async (signal) => {
      if (isDeleting.value) return; // its numbers are about to go
      known.value ??= await hotswap().topics.get(name, { signal });
      await numbersOf(name).refresh(name, signal);
    },
    { intervalMs: 1000 },
  );
  const topic = known.value;
  return (
    <Page
      title={name}
      within={["Topics", "topics"]}
      isBusy={topic === undefined}
      error={error.value}
      lead={
        topic && (
          <>
            <Traits
              all={[
                topic.type,
                plural(topic.partitions, "partition"),
                topic.durability,
                topic.strategy,
                keptText(topic),
                topic.schema && (
                  <>
                    schema{" "}
                    <a href={hrefWith({ q: topic.schema.subject }, "schemas")}>{schemaText(topic.schema)}</a>
                  </>
                ),
                `since ${topic.createdAt.slice(0, 10)}`,
              ]}
            />
            {topic.description && <p class="description">{topic.description}</p>}
          </>
        )
      }
      actions={
        topic && (
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
      {topic && (
        <>
          <Tabs label="Parts of the topic" base={["topics", name]} tabs={tabs} />
          {tab === "messages" && <TopicMessages topic={topic} />}
          {tab === "scheduled" && <TopicScheduled topic={topic} />}
          {tab === "publish" && <PublishForm topic={topic} />}
          {tab === "settings" && (
            <TopicSettingsForm
              key={topic.version}
              topic={topic}
              onSaved={(changed) => {
                known.value = changed;
              }}
            />
          )}
          {tab === "" && <TopicActivity topic={topic} />}
        </>
      )}
      {isDeleting.value && (
        <DeleteTopic
          name={name}
          onClose={() => {
            isDeleting.value = false;
          }}
        />
      )}
    </Page>
  );
}
