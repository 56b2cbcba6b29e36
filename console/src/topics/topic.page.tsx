/** One topic: what it does, what lies in it, and a way to put something in. */
import { useSignal } from "@preact/signals";
import type { Topic } from "../../../client/src/index.ts";
import { Icon } from "../parts/icon.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { usePolling } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { DeleteTopic } from "./delete-topic.tsx";
import { numbersOf } from "./live.ts";
import { PublishForm } from "./publish-form.tsx";
import { TopicActivity } from "./topic-activity.tsx";
import { TopicMessages } from "./topic-messages.tsx";

const tabs = [
  ["", "Activity"],
  ["messages", "Messages"],
  ["publish", "Publish"],
] as const;

export function TopicPage({ name, tab = "" }: { name: string; tab: string | undefined }) {
  const topic = useSignal<Topic | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  const isDeleting = useSignal(false);
  usePolling(() => ({
    intervalMs: 1000,
    async ask(signal) {
      if (isDeleting.value) return; // its numbers are about to go
      topic.value ??= await hotswap().topics.get(name, { signal });
      await numbersOf(name).refresh(name, signal);
      error.value = undefined;
    },
    onFailure: (failure) => {
      error.value = failure;
    },
  }));
  return (
    <section class="page" aria-busy={topic.value === undefined}>
      <p class="crumbs">
        <a href={href("topics")}>Topics</a> <Icon name="chevron" />
      </p>
      <header class="page-head">
        <div>
          <h1>{name}</h1>
          {topic.value && <Traits topic={topic.value} />}
          {topic.value?.description && <p class="description">{topic.value.description}</p>}
        </div>
        {topic.value && (
          <button
            type="button"
            class="button"
            onClick={() => {
              isDeleting.value = true;
            }}
          >
            <Icon name="trash" /> Delete
          </button>
        )}
      </header>
      <ProblemPanel error={error.value} />
      {topic.value && (
        <>
          <nav class="tabs" aria-label="Parts of the topic">
            {tabs.map(([path, label]) => (
              <a
                key={path}
                href={href("topics", name, ...(path ? [path] : []))}
                aria-current={path === tab ? "page" : undefined}
              >
                {label}
              </a>
            ))}
          </nav>
          {tab === "messages" && <TopicMessages topic={topic.value} />}
          {tab === "publish" && <PublishForm topic={topic.value} />}
          {tab === "" && <TopicActivity topic={topic.value} />}
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
    </section>
  );
}

function Traits({ topic }: { topic: Topic }) {
  return (
    <ul class="traits">
      <li>{topic.type}</li>
      <li>
        {topic.partitions} {topic.partitions === 1 ? "partition" : "partitions"}
      </li>
      <li>{topic.durability}</li>
      <li>since {topic.createdAt.slice(0, 10)}</li>
    </ul>
  );
}
