/** Sets the webhook of a subscription, or changes where and how it pushes. */
import type { NewPush, Push, PushFormat, Subscription } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Choice, type Draft, Input, useDraft } from "../parts/input.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, type Twin, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";

interface PushDraft {
  url: string;
  format: PushFormat;
  batch: string;
  concurrency: string;
  timeout: string;
}

const fresh: PushDraft = { url: "", format: "json", batch: "1", concurrency: "4", timeout: "15" };

const formats = [
  ["json", "json: message and place as HotSwap has them"],
  ["cloudevents", "cloudevents: structured, CloudEvents 1.0"],
  ["cloudevents-binary", "cloudevents-binary: attributes as headers"],
] as const;

interface FormProps {
  subscription: Subscription;
  /** As it is; undefined for the first one. */
  push: Push | undefined;
  /** With the secret when one was made. */
  onDone(secret: string | undefined): void;
}

export function WebhookForm({ subscription, push, onDone }: FormProps) {
  const draft = useDraft(push ? draftOf(push) : fresh);
  const { isBusy, error, run } = useAction();
  const wanted = pushOf(draft.now);
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      const { secret } = await hotswap().pushes.set(subscription.id, wanted);
      onDone(secret);
    });
  };
  return (
    <div class="columns">
      <form class="panel" onSubmit={submit}>
        <h2>{push ? "Change the webhook" : "Push to a webhook"}</h2>
        {!push && (
          <p class="muted">
            Messages are posted to an address, signed by Standard Webhooks, and are done when it answers 2xx.
          </p>
        )}
        <Fields draft={draft} />
        <ProblemPanel error={error.value} />
        <footer>
          <button type="submit" class="button primary" disabled={wanted.url === "" || isBusy.value}>
            {push ? "Change webhook" : "Set webhook"}
          </button>
        </footer>
      </form>
      <TwinPanel twin={twinOf(subscription, wanted)} />
    </div>
  );
}

function Fields({ draft: { now, set } }: { draft: Draft<PushDraft> }) {
  return (
    <>
      <Input
        id="push-url"
        label="Address"
        hint="https, and not in a private network unless the server allows that."
        type="url"
        placeholder="https://example.com/hook"
        value={now.url}
        onChange={(url) => set({ url })}
      />
      <Choice
        id="push-format"
        label="Format"
        value={now.format}
        options={formats}
        onChange={(format) => set({ format })}
      />
      <Input
        id="push-batch"
        label="Messages of one request"
        hint="1 to 1,000. A batch is done, or fails, as a whole."
        type="number"
        min={1}
        max={1000}
        value={now.batch}
        onChange={(batch) => set({ batch })}
      />
      <Input
        id="push-concurrency"
        label="Requests at once"
        hint="1 to 64; the order of each key stays."
        type="number"
        min={1}
        max={64}
        value={now.concurrency}
        onChange={(concurrency) => set({ concurrency })}
      />
      <Input
        id="push-timeout"
        label="Fails after, in seconds"
        type="number"
        min={1}
        max={60}
        value={now.timeout}
        onChange={(timeout) => set({ timeout })}
      />
    </>
  );
}

function draftOf({ url, format, batch, concurrency, timeoutSeconds }: Push): PushDraft {
  return { url, format, batch: `${batch}`, concurrency: `${concurrency}`, timeout: `${timeoutSeconds}` };
}

function pushOf({ url, format, batch, concurrency, timeout }: PushDraft): NewPush {
  return {
    url: url.trim(),
    format,
    batch: Number(batch) || 1,
    concurrency: Number(concurrency) || 1,
    timeoutSeconds: Number(timeout) || 1,
  };
}

function twinOf({ id, topic, name }: Subscription, push: NewPush): Twin {
  const url = push.url || "https://example.com/hook";
  const options = [
    push.format !== "json" && `--format ${push.format}`,
    push.batch !== 1 && `--batch ${push.batch}`,
    push.concurrency !== 4 && `--concurrency ${push.concurrency}`,
    push.timeoutSeconds !== 15 && `--timeout ${push.timeoutSeconds}s`,
  ].filter(Boolean);
  const words = [
    "hotswap subscription push set",
    shellWord(topic),
    shellWord(name),
    shellWord(url),
    ...options,
  ];
  return {
    cli: words.join(" "),
    curl: curl("PUT", `/api/v1/subscriptions/${id}/push`, { ...push, url }),
  };
}
