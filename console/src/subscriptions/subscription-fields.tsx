/** The fields of a subscription, for its creation and its settings alike, and what they stand for elsewhere. */
import type { Backoff, Filter, Subscription, SubscriptionSettings } from "../../../client/src/index.ts";
import { Choice, type Draft, Input, Tick } from "../parts/input.tsx";
import { cliOptions } from "../parts/twin.tsx";

/** As it stands in the inputs. */
export interface SubscriptionDraft {
  deadline: string;
  ackMode: SubscriptionSettings["ackMode"];
  attempts: string;
  backoff: string;
  isBlocking: boolean;
  isBuryingExpired: boolean;
  schemaVersion: string;
  filter: string;
}

export const freshSubscription: SubscriptionDraft = {
  deadline: "30",
  ackMode: "at-least-once",
  attempts: "6",
  backoff: "2, 4, 8, 16, 32",
  isBlocking: false,
  isBuryingExpired: false,
  schemaVersion: "",
  filter: "",
};

export function draftOf(subscription: Subscription): SubscriptionDraft {
  const { ackMode, filter, schemaVersion } = subscription;
  return {
    ackMode,
    deadline: `${subscription.ackDeadlineSeconds}`,
    attempts: `${subscription.maxAttempts}`,
    backoff: textOf(subscription.backoff),
    isBlocking: subscription.blockKeyOnDeadLetter,
    isBuryingExpired: subscription.deadLetterExpired,
    schemaVersion: schemaVersion === null ? "" : `${schemaVersion}`,
    filter: filter ? JSON.stringify(filter, null, 2) : "",
  };
}

/** As the API takes them; undefined while a back-off or filter cannot be read. */
export function settingsOf(draft: SubscriptionDraft): SubscriptionSettings | undefined {
  const backoff = backoffOf(draft.backoff);
  const filter = filterOf(draft.filter);
  if (!backoff || filter === undefined) return undefined;
  return {
    ackDeadlineSeconds: Number(draft.deadline) || 1,
    ackMode: draft.ackMode,
    maxAttempts: Number(draft.attempts) || 0,
    backoff,
    blockKeyOnDeadLetter: draft.isBlocking,
    deadLetterExpired: draft.isBuryingExpired,
    schemaVersion: draft.schemaVersion === "" ? null : Number(draft.schemaVersion),
    filter,
  };
}

/** The options of `hotswap subscription create` and `update` that say the same. */
export function subscriptionOptions(settings: Partial<SubscriptionSettings>): string {
  const { ackDeadlineSeconds: deadline, backoff, schemaVersion, filter } = settings;
  return cliOptions([
    ["ack-deadline", deadline === undefined ? undefined : `${deadline}s`],
    ["ack-mode", settings.ackMode],
    ["max-attempts", settings.maxAttempts],
    ["backoff", backoff && backoffOption(backoff)],
    ["block-key-on-dead-letter", settings.blockKeyOnDeadLetter],
    ["dead-letter-expired", settings.deadLetterExpired],
    ["schema-version", schemaVersion === null ? "topic" : schemaVersion],
    ["filter", filter === null ? "none" : filter && JSON.stringify(filter)],
  ]);
}

const backoffOption = (backoff: Backoff) =>
  "delaysMs" in backoff
    ? backoff.delaysMs.map((ms) => `${ms}ms`).join(",")
    : `${backoff.baseMs}ms..${backoff.maxMs}ms`;

const ackModes = [
  ["at-least-once", "at least once: delivered until acknowledged"],
  ["at-most-once", "at most once: settled before it is handed out"],
] as const;

interface FieldsProps {
  draft: Draft<SubscriptionDraft>;
}

export function DeadlineField({ draft: { now, set } }: FieldsProps) {
  return (
    <Input
      id="subscription-deadline"
      label="Ack deadline, in seconds"
      hint="A message that is not acknowledged within it is delivered again. 1 to 43,200."
      type="number"
      min={1}
      max={43_200}
      value={now.deadline}
      onChange={(deadline) => set({ deadline })}
    />
  );
}

export function FailureFields({ draft: { now, set } }: FieldsProps) {
  const isReadable = backoffOf(now.backoff) !== undefined;
  return (
    <>
      <Choice
        id="subscription-mode"
        label="Delivery"
        value={now.ackMode}
        options={ackModes}
        onChange={(ackMode) => set({ ackMode })}
      />
      <Input
        id="subscription-attempts"
        label="Attempts"
        hint="Deliveries until a message that fails becomes a dead letter; 0 sets no limit."
        type="number"
        min={0}
        max={1000}
        value={now.attempts}
        onChange={(attempts) => set({ attempts })}
      />
      <Input
        id="subscription-backoff"
        label="Back-off, in seconds"
        hint={
          isReadable
            ? "After each failed attempt; the last one repeats. Or a base that doubles up to a maximum: 1..60"
            : "Seconds with commas between them, such as 2, 4, 8; or a base and a maximum, such as 1..60"
        }
        value={now.backoff}
        isWrong={!isReadable}
        onChange={(backoff) => set({ backoff })}
      />
      <Tick
        label="Messages behind a dead letter of their key wait for it"
        value={now.isBlocking}
        onChange={(isBlocking) => set({ isBlocking })}
      />
      <Tick
        label="What expires becomes a dead letter"
        value={now.isBuryingExpired}
        onChange={(isBuryingExpired) => set({ isBuryingExpired })}
      />
    </>
  );
}

const filterExample = '{ "payload": "$.amount", "gt": 100 }';

export function ContentFields({ draft: { now, set } }: FieldsProps) {
  const isReadable = filterOf(now.filter) !== undefined;
  return (
    <>
      <Input
        id="subscription-filter"
        label="Filter (JSON)"
        hint={
          isReadable
            ? "Which messages it wants, by header or JSONPath; joined by all, any and not. What does not fit counts as done. Empty: all."
            : `Not JSON yet; such as ${filterExample}`
        }
        placeholder={filterExample}
        rows={4}
        value={now.filter}
        isWrong={!isReadable}
        onChange={(filter) => set({ filter })}
      />
      <Input
        id="subscription-schema-version"
        label="Schema version that its consumers read by"
        hint="Shown to who wants to deprecate that version. Empty: what is in force where they consume."
        type="number"
        min={1}
        placeholder="as published"
        value={now.schemaVersion}
        onChange={(schemaVersion) => set({ schemaVersion })}
      />
    </>
  );
}

const seconds = (ms: number) => `${ms / 1000}`;

function textOf(backoff: Backoff): string {
  return "delaysMs" in backoff
    ? backoff.delaysMs.map(seconds).join(", ")
    : `${seconds(backoff.baseMs)}..${seconds(backoff.maxMs)}`;
}

/** Undefined when the text is none. */
export function backoffOf(text: string): Backoff | undefined {
  const range = /^\s*([\d.]+)\s*\.\.\s*([\d.]+)\s*$/.exec(text);
  const numbers = (range ? [range[1]!, range[2]!] : text.split(",")).map((part) => {
    return part.trim() === "" ? Number.NaN : Math.round(Number(part) * 1000);
  });
  if (numbers.length === 0 || numbers.some((ms) => !(ms >= 0))) return undefined;
  if (!range) return { delaysMs: numbers };
  const [baseMs, maxMs] = numbers as [number, number];
  return baseMs > 0 && maxMs >= baseMs ? { baseMs, maxMs } : undefined;
}

/** Null for none; undefined when the text is no JSON object. */
function filterOf(text: string): Filter | null | undefined {
  if (text.trim() === "") return null;
  try {
    const filter: unknown = JSON.parse(text);
    return typeof filter === "object" && filter !== null ? (filter as Filter) : undefined;
  } catch {
    return undefined;
  }
}
