/** What a subscription promises its consumers, and what becomes of a message that failed; all of it can change. */
import { useSignal } from "@preact/signals";
import type { Backoff, Subscription, SubscriptionSettings } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { duration } from "../format.ts";
import { differences, useDraft } from "../parts/input.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import {
  backoffOf,
  ContentFields,
  DeadlineField,
  draftOf,
  FailureFields,
  settingsOf,
  subscriptionOptions,
} from "./subscription-fields.tsx";

interface SettingsProps {
  subscription: Subscription;
  onSaved(): Promise<void>;
}

export function SubscriptionSettingsForm({ subscription, onSaved }: SettingsProps) {
  const draft = useDraft(draftOf(subscription));
  const isSaved = useSignal(false);
  const { isBusy, error, run } = useAction();
  const { topic, name, id, version } = subscription;
  const wanted = settingsOf(draft.now);
  const backoff = backoffOf(draft.now.backoff);
  const change = wanted
    ? differences<SubscriptionSettings>(settingsOf(draftOf(subscription)) ?? {}, wanted)
    : {};
  const isChanged = Object.keys(change).length > 0;
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      await hotswap().subscriptions.update(id, version, change);
      await onSaved();
      isSaved.value = true;
    });
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit} onInput={() => (isSaved.value = false)}>
        <DeadlineField draft={draft} />
        <FailureFields draft={draft} />
        <ContentFields draft={draft} />
        <ProblemPanel error={error.value} />
        <footer>
          <span class="muted" role="status">
            {isSaved.value && !isChanged && "Saved; it counts from the next delivery on."}
          </span>
          <button type="submit" class="button primary" disabled={!isChanged || isBusy.value}>
            Save
          </button>
        </footer>
      </form>
      <div>
        {backoff && <Schedule backoff={backoff} attempts={Number(draft.now.attempts) || 0} />}
        <TwinPanel
          twin={{
            cli: `hotswap subscription update ${shellWord(topic)} ${shellWord(name)}${subscriptionOptions(change)}`,
            curl: curl("PUT", `/api/v1/subscriptions/${id}`, change, { "if-match": `"${version}"` }),
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
