/** The fields of a topic, for its creation and its settings alike, and what they stand for in API and command line. */
import type {
  Balancing,
  Durability,
  NewTopic,
  Retain,
  Strategy,
  Topic,
  TopicType,
} from "../../../client/src/index.ts";
import { Choice, type Draft, Input } from "../parts/input.tsx";
import { cliOptions } from "../parts/twin.tsx";

/** As it stands in the inputs. "" of a choice is what the type of the topic brings. */
export interface TopicDraft {
  type: TopicType;
  description: string;
  partitions: string;
  durability: Durability;
  strategy: Strategy | "";
  balancing: Balancing;
  dedupWindow: string;
  ttl: string;
  kept: "" | "done" | "forever" | "time";
  keptSeconds: string;
  keptBytes: string;
  retain: Retain;
  subject: string;
  schemaVersion: string;
  enforcement: "strict" | "warn";
}

export const freshTopic: TopicDraft = {
  type: "queue",
  description: "",
  partitions: "1",
  durability: "fsync",
  strategy: "",
  balancing: "round-robin",
  dedupWindow: "300",
  ttl: "",
  kept: "",
  keptSeconds: "604800",
  keptBytes: "",
  retain: "unacknowledged",
  subject: "",
  schemaVersion: "",
  enforcement: "strict",
};

export function draftOf(topic: Topic): TopicDraft {
  const {
    type,
    description,
    durability,
    strategy,
    balancing,
    retain,
    schema,
    retentionSeconds: kept,
  } = topic;
  return {
    ...{ type, description, durability, strategy, balancing, retain },
    partitions: `${topic.partitions}`,
    dedupWindow: `${topic.dedupWindowSeconds}`,
    ttl: textOf(topic.messageTtlSeconds),
    kept: kept === null ? "forever" : kept === 0 ? "done" : "time",
    keptSeconds: kept ? `${kept}` : freshTopic.keptSeconds,
    keptBytes: textOf(topic.retentionBytes),
    subject: schema?.subject ?? "",
    schemaVersion: textOf(schema?.version ?? null),
    enforcement: schema?.enforcement ?? "strict",
  };
}

const textOf = (value: number | null) => (value === null ? "" : `${value}`);
const numberOrNull = (text: string) => (text.trim() === "" ? null : Number(text));

export type TopicSettings = Omit<NewTopic, "name">;

/** As the API takes them; what is the type's own choice is left out. */
export function settingsOf(draft: TopicDraft): TopicSettings {
  const { type, description, durability, strategy, balancing, retain, kept, enforcement } = draft;
  const subject = draft.subject.trim();
  return {
    ...{ type, description, durability, balancing, retain },
    partitions: Number(draft.partitions) || 1,
    ...(strategy && { strategy }),
    dedupWindowSeconds: Number(draft.dedupWindow) || 0,
    messageTtlSeconds: numberOrNull(draft.ttl),
    ...(kept === "done" && { retentionSeconds: 0 }),
    ...(kept === "forever" && { retentionSeconds: null }),
    ...(kept === "time" && { retentionSeconds: Number(draft.keptSeconds) || 1 }),
    retentionBytes: numberOrNull(draft.keptBytes),
    schema: subject ? { subject, version: numberOrNull(draft.schemaVersion), enforcement } : null,
  };
}

/** The options of `hotswap topic create` and `update` that say the same. */
export function topicOptions(settings: TopicSettings): string {
  const { schema, retentionSeconds, retentionBytes, messageTtlSeconds } = settings;
  return cliOptions([
    ["type", settings.type],
    ["partitions", settings.partitions],
    ["durability", settings.durability],
    ["strategy", settings.strategy],
    ["balancing", settings.balancing],
    ["dedup-window", timeOf(settings.dedupWindowSeconds, "0")],
    ["message-ttl", timeOf(messageTtlSeconds, "never")],
    ["retention", timeOf(retentionSeconds, "forever")],
    ["retention-bytes", retentionBytes === null ? "none" : retentionBytes],
    ["retain", settings.retain],
    ["schema", schema === null ? "none" : schema && nameOf(schema)],
    ["enforcement", schema?.enforcement === "warn" ? "warn" : undefined],
    ["description", settings.description],
  ]);
}

const timeOf = (seconds: number | null | undefined, none: string) =>
  seconds === undefined ? undefined : seconds === null ? none : `${seconds}s`;
const nameOf = ({ subject, version }: { subject: string; version?: number | null }) =>
  version ? `${subject}@${version}` : subject;

const types = [
  ["queue", "queue: one consumer gets it"],
  ["pubsub", "pubsub: each subscription gets it"],
] as const;
const durabilities = [
  ["fsync", "fsync: survives power loss"],
  ["os", "os: survives a crash of HotSwap"],
  ["memory", "memory: fastest, lost on restart"],
] as const;
const balancings = [
  ["round-robin", "in turns"],
  ["least-loaded", "who holds least goes first"],
] as const;
const retains = [
  ["unacknowledged", "what a subscription has not finished stays"],
  ["limits", "the limits count for it too"],
] as const;
const enforcements = [
  ["strict", "strict: what does not fit is refused"],
  ["warn", "warn: it is counted"],
] as const;

const strategies = [
  ["load-balanced", "load-balanced: each goes to one consumer"],
  ["fan-out", "fan-out: to every subscription"],
  ["direct", "direct: one consumer gets all, the next takes over"],
  ["content-based", "content-based: every subscription has a filter"],
] as const;
const priority = ["priority", "priority: larger priorities first"] as const;
const byType = ["", "as its type has it"] as const;

interface FieldsProps {
  draft: Draft<TopicDraft>;
  /** Of one that is there some choices are made. */
  isNew: boolean;
  subjects: readonly string[];
}

/** What most topics need. */
export function BasicTopicFields({ draft: { now, set }, isNew }: Omit<FieldsProps, "subjects">) {
  return (
    <>
      {isNew && (
        <Choice
          id="topic-type"
          label="Type"
          value={now.type}
          options={types}
          onChange={(type) => set({ type })}
        />
      )}
      <Input
        id="topic-partitions"
        label="Partitions"
        hint={
          isNew ? "1 to 256. Order is kept per key. May grow later, never shrink." : "May grow, never shrink."
        }
        type="number"
        min={1}
        max={256}
        value={now.partitions}
        onChange={(partitions) => set({ partitions })}
      />
      <Choice
        id="topic-durability"
        label="Durability"
        value={now.durability}
        options={durabilities}
        onChange={(durability) => set({ durability })}
      />
    </>
  );
}

export function MoreTopicFields({ draft, isNew, subjects }: FieldsProps) {
  const { now, set } = draft;
  return (
    <>
      <Input
        id="topic-description"
        label="Description"
        value={now.description}
        onChange={(description) => set({ description })}
      />
      <RoutingFields draft={draft} isNew={isNew} />
      <RetentionFields draft={draft} isNew={isNew} />
      <Input
        id="topic-ttl"
        label="Messages expire after, in seconds"
        hint="What is older is not delivered any more, unless a message says its own. Empty: never."
        type="number"
        min={1}
        placeholder="never"
        value={now.ttl}
        onChange={(ttl) => set({ ttl })}
      />
      <Input
        id="topic-dedup"
        label="Idempotency keys are remembered for, in seconds"
        hint="A message with a key that was published within this time is stored once. 0: not at all."
        type="number"
        min={0}
        max={86_400}
        value={now.dedupWindow}
        onChange={(dedupWindow) => set({ dedupWindow })}
      />
      <SchemaFields draft={draft} subjects={subjects} />
    </>
  );
}

function RoutingFields({ draft: { now, set }, isNew }: Omit<FieldsProps, "subjects">) {
  const isFixed = !isNew && now.strategy === "priority";
  const options = isNew ? [byType, ...strategies, priority] : isFixed ? [priority] : strategies;
  const isBalanced = now.strategy === "load-balanced" || (now.strategy === "" && now.type === "queue");
  return (
    <>
      <Choice
        id="topic-strategy"
        label="How messages find consumers"
        hint={isFixed ? "Priority is fixed when a topic is made." : undefined}
        value={now.strategy}
        options={options}
        onChange={(strategy) => set({ strategy })}
      />
      {isBalanced && (
        <Choice
          id="topic-balancing"
          label="Which of several consumers"
          value={now.balancing}
          options={balancings}
          onChange={(balancing) => set({ balancing })}
        />
      )}
    </>
  );
}

const keeps = [
  ["done", "until they are done"],
  ["forever", "while there is room"],
  ["time", "for a time"],
] as const;

function RetentionFields({ draft: { now, set }, isNew }: Omit<FieldsProps, "subjects">) {
  return (
    <>
      <Choice
        id="topic-kept"
        label="Messages are kept"
        value={now.kept}
        options={isNew ? [byType, ...keeps] : keeps}
        onChange={(kept) => set({ kept })}
      />
      {now.kept === "time" && (
        <Input
          id="topic-kept-seconds"
          label="For so many seconds"
          hint="604800 is a week. Whole segments go, so more may stay for a while."
          type="number"
          min={1}
          value={now.keptSeconds}
          onChange={(keptSeconds) => set({ keptSeconds })}
        />
      )}
      <Input
        id="topic-kept-bytes"
        label="Up to so many bytes"
        hint="Of the whole topic; beyond it the oldest go. Empty: no limit."
        type="number"
        min={1}
        placeholder="no limit"
        value={now.keptBytes}
        onChange={(keptBytes) => set({ keptBytes })}
      />
      <Choice
        id="topic-retain"
        label="What is not acknowledged"
        value={now.retain}
        options={retains}
        onChange={(retain) => set({ retain })}
      />
    </>
  );
}

function SchemaFields({ draft: { now, set }, subjects }: Omit<FieldsProps, "isNew">) {
  return (
    <>
      <Input
        id="topic-subject"
        label="Schema"
        hint="The subject whose schema every message must fit. Empty: none."
        placeholder="none"
        list="topic-subjects"
        value={now.subject}
        onChange={(subject) => set({ subject })}
      />
      <datalist id="topic-subjects">
        {subjects.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {now.subject.trim() !== "" && (
        <>
          <Input
            id="topic-schema-version"
            label="Version of it"
            hint="Empty: the latest in force, as soon as it is approved."
            type="number"
            min={1}
            placeholder="latest"
            value={now.schemaVersion}
            onChange={(schemaVersion) => set({ schemaVersion })}
          />
          <Choice
            id="topic-enforcement"
            label="What does not fit"
            value={now.enforcement}
            options={enforcements}
            onChange={(enforcement) => set({ enforcement })}
          />
        </>
      )}
    </>
  );
}
