/** What a subscription promises its consumers, and what becomes of a message that failed; all of it can change. */
import { useSignal } from "@preact/signals";
import type { Backoff, Subscription, SubscriptionSettings } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { duration } from "../format.ts";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";

const ackModes = [
  ["at-least-once", "at least once: delivered until acknowledged"],
  ["at-most-once", "at most once: settled before it is handed out"],
] as const;

interface SettingsProps {
  subscription: Subscription;
  onSaved(): Promise<void>;
}

export function SubscriptionSettingsForm({ subscription, onSaved }: SettingsProps) {
  const deadline = useSignal(subscription.ackDeadlineSeconds);
  const ackMode = useSignal(subscription.ackMode);
  const attempts = useSignal(subscription.maxAttempts);
  const backoff = useSignal(textOf(subscription.backoff));
  const isBlocking = useSignal(subscription.blockKeyOnDeadLetter);
  const isBuryingExpired = useSignal(subscription.deadLetterExpired);
  const isSaved = useSignal(false);
  const { isBusy, error, run } = useAction();
  const parsed = backoffOf(backoff.value);
  const change = changeOf(subscription, {
    ackDeadlineSeconds: deadline.value,
    ackMode: ackMode.value,
    maxAttempts: attempts.value,
    backoff: parsed ?? subscription.backoff,
    blockKeyOnDeadLetter: isBlocking.value,
    deadLetterExpired: isBuryingExpired.value,
    schemaVersion: subscription.schemaVersion,
  });
  const isChanged = Object.keys(change).length > 0;
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      await hotswap().subscriptions.update(subscription.id, subscription.version, change);
      await onSaved();
      isSaved.value = true;
    });
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit} onInput={() => (isSaved.value = false)}>
        <Field
          id="setting-deadline"
          label="Ack deadline, in seconds"
          hint="A consumer that needs longer can extend its lease."
        >
          <input
            id="setting-deadline"
            type="number"
            min={1}
            max={43_200}
            value={deadline.value}
            aria-describedby="setting-deadline-hint"
            onInput={(event) => {
              deadline.value = event.currentTarget.valueAsNumber || 1;
            }}
          />
        </Field>
        <Field id="setting-mode" label="Delivery">
          <Select
            id="setting-mode"
            value={ackMode.value}
            options={ackModes}
            onChange={(value) => {
              ackMode.value = value;
            }}
          />
        </Field>
        <Field
          id="setting-attempts"
          label="Attempts"
          hint="Deliveries until a message that fails becomes a dead letter; 0 sets no limit."
        >
          <input
            id="setting-attempts"
            type="number"
            min={0}
            max={1000}
            value={attempts.value}
            aria-describedby="setting-attempts-hint"
            onInput={(event) => {
              attempts.value = event.currentTarget.valueAsNumber || 0;
            }}
          />
        </Field>
        <Field
          id="setting-backoff"
          label="Back-off, in seconds"
          hint={
            parsed
              ? "After each failed attempt; the last one repeats. Or a base that doubles up to a maximum: 1..60"
              : "Seconds with commas between them, such as 2, 4, 8; or a base and a maximum, such as 1..60"
          }
        >
          <input
            id="setting-backoff"
            value={backoff.value}
            autocomplete="off"
            aria-describedby="setting-backoff-hint"
            aria-invalid={parsed === undefined}
            onInput={(event) => {
              backoff.value = event.currentTarget.value;
            }}
          />
        </Field>
        <label class="tick">
          <input
            type="checkbox"
            checked={isBlocking.value}
            onChange={(event) => {
              isBlocking.value = event.currentTarget.checked;
            }}
          />
          Messages behind a dead letter of their key wait for it
        </label>
        <label class="tick">
          <input
            type="checkbox"
            checked={isBuryingExpired.value}
            onChange={(event) => {
              isBuryingExpired.value = event.currentTarget.checked;
            }}
          />
          What expires becomes a dead letter
        </label>
        <ProblemPanel error={error.value} />
        <footer>
          <span class="muted" role="status">
            {isSaved.value && !isChanged && "Saved; it counts from the next delivery on."}
          </span>
          <button
            type="submit"
            class="button primary"
            disabled={!isChanged || parsed === undefined || isBusy.value}
          >
            Save
          </button>
        </footer>
      </form>
      <div>
        {parsed && <Schedule backoff={parsed} attempts={attempts.value} />}
        <TwinPanel
          twin={{
            cli: undefined,
            curl: curl("PUT", `/api/v1/subscriptions/${subscription.id}`, change, {
              "if-match": `"${subscription.version}"`,
            }),
          }}
        />
      </div>
    </div>
  );
}

const shownAttempts = 12;

/** When a message that always fails is tried, from its first delivery on. */
function Schedule({ backoff, attempts }: { backoff: Backoff; attempts: number }) {
  const tries = Math.min(attempts || shownAttempts, shownAttempts);
  const delays = Array.from({ length: tries - 1 }, (_, index) => delayMs(backoff, index + 1));
  const last = delays.reduce((sum, delay) => sum + delay, 0);
  return (
    <section class="panel">
      <h2>A message that always fails</h2>
      <ol class="steps">
        <li>is tried at once,</li>
        {delays.map((delay, index) => (
          <li key={index}>again {duration(delay)} later,</li>
        ))}
        <li>
          {attempts === 0
            ? "and so on, without an end."
            : attempts > shownAttempts
              ? `and so on; after ${attempts} attempts it is a dead letter.`
              : `and is a dead letter then, ${duration(last)} after its first delivery.`}
        </li>
      </ol>
    </section>
  );
}

/** After the nth failed attempt, as the server reckons. */
function delayMs(backoff: Backoff, attempt: number): number {
  if (!("delaysMs" in backoff)) return Math.min(backoff.maxMs, backoff.baseMs * 2 ** (attempt - 1));
  return backoff.delaysMs[Math.min(attempt, backoff.delaysMs.length) - 1] ?? 0;
}

const seconds = (ms: number) => `${ms / 1000}`;

function textOf(backoff: Backoff): string {
  return "delaysMs" in backoff
    ? backoff.delaysMs.map(seconds).join(", ")
    : `${seconds(backoff.baseMs)}..${seconds(backoff.maxMs)}`;
}

/** Undefined when the text is none. */
function backoffOf(text: string): Backoff | undefined {
  const range = /^\s*([\d.]+)\s*\.\.\s*([\d.]+)\s*$/.exec(text);
  const numbers = (range ? [range[1]!, range[2]!] : text.split(",")).map((part) => {
    return part.trim() === "" ? Number.NaN : Math.round(Number(part) * 1000);
  });
  if (numbers.length === 0 || numbers.some((ms) => !(ms >= 0))) return undefined;
  if (!range) return { delaysMs: numbers };
  const [baseMs, maxMs] = numbers as [number, number];
  return baseMs > 0 && maxMs >= baseMs ? { baseMs, maxMs } : undefined;
}

/** What differs from what is. */
function changeOf(now: Subscription, wanted: SubscriptionSettings): Partial<SubscriptionSettings> {
  const names = Object.keys(wanted) as (keyof SubscriptionSettings)[];
  const changed = names.filter((name) => JSON.stringify(wanted[name]) !== JSON.stringify(now[name]));
  return Object.fromEntries(changed.map((name) => [name, wanted[name]]));
}
