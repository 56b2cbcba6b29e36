/** The webhook of a subscription: where it goes, how it fares, and its secret, which is shown once. */
import { useSignal } from "@preact/signals";
import type { Push, Subscription } from "../../../client/src/index.ts";
import { ago, duration } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Confirm } from "../parts/confirm.tsx";
import { CopyButton } from "../parts/copy.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { Rows } from "../parts/rows.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { WebhookForm } from "./webhook-form.tsx";

type Verb = "pause" | "resume" | "rotate" | "delete";

export function Webhook({ subscription }: { subscription: Subscription }) {
  const { id } = subscription;
  const asked = useSignal<Verb | "edit" | undefined>(undefined);
  const secret = useSignal<string | undefined>(undefined);
  const { answer, error, refresh } = useLive(async (signal): Promise<{ push: Push | undefined }> => {
    const { push } = await hotswap().subscriptions.explain(id, { signal }); // says whether there is one
    return { push: push ? await hotswap().pushes.get(id, { signal }) : undefined };
  });
  const push = answer.value?.push;
  const close = () => {
    asked.value = undefined;
  };
  const done = (made: string | undefined) => {
    if (made !== undefined) secret.value = made;
    close();
    void refresh();
  };
  return (
    <>
      <ProblemPanel error={error.value} />
      {secret.value !== undefined && <Secret secret={secret.value} />}
      {push && (
        <PushPanel
          subscription={subscription}
          push={push}
          ask={(verb) => {
            asked.value = verb;
          }}
        />
      )}
      {answer.value && (!push || asked.value === "edit") && (
        <WebhookForm subscription={subscription} push={push} onDone={done} />
      )}
      {asked.value !== undefined && asked.value !== "edit" && (
        <Step verb={asked.value} subscription={subscription} onDone={done} onClose={close} />
      )}
    </>
  );
}

function Secret({ secret }: { secret: string }) {
  return (
    <section class="panel" role="status">
      <h2>The secret, shown this once</h2>
      <p>Give it to the receiver: it verifies the signatures by Standard Webhooks.</p>
      <div class="command-line">
        <pre class="command secret">{secret}</pre>
        <CopyButton text={secret} label="the secret" />
      </div>
    </section>
  );
}

const tones: Record<Push["status"], Tone> = {
  active: "good",
  probing: "warn",
  paused: "warn",
  disabled: "bad",
};

interface PanelProps {
  subscription: Subscription;
  push: Push;
  ask(verb: Verb | "edit"): void;
}

function PushPanel({ subscription: { topic, name }, push, ask }: PanelProps) {
  const { status, failures, reason, resumesAt } = push;
  const isPushing = status === "active" || status === "probing";
  const verbs: readonly (readonly [Verb | "edit", string])[] = [
    isPushing ? ["pause", "Pause…"] : ["resume", "Resume…"],
    ["edit", "Change…"],
    ["rotate", "New secret…"],
    ["delete", "Remove…"],
  ];
  const path = `/api/v1/subscriptions/${push.subscriptionId}/push`;
  return (
    <>
      <section class="panel">
        <h2>Webhook</h2>
        <Rows
          all={[
            ["Goes to", <code key="url">{push.url}</code>],
            [
              "State",
              <State key="state" tone={failures > 0 && status === "active" ? "warn" : tones[status]}>
                {status}
              </State>,
            ],
            ["Because", reason],
            ["Failures in a row", failures],
            resumesAt !== null && ["Tries again", inTime(resumesAt)],
            ["Format", push.format],
            [
              "A request",
              `${push.batch === 1 ? "one message" : `up to ${push.batch} messages`}, ${push.timeoutSeconds} s at most`,
            ],
            ["At once", `${push.concurrency} requests`],
            ["Set", ago(serverNowMs() - Date.parse(push.updatedAt))],
          ]}
        />
        <div class="actions below">
          {verbs.map(([verb, label]) => (
            <button key={verb} type="button" class="button" onClick={() => ask(verb)}>
              {label}
            </button>
          ))}
        </div>
      </section>
      <TwinPanel
        twin={{
          cli: `hotswap subscription push show ${shellWord(topic)} ${shellWord(name)}`,
          curl: curl("GET", path),
        }}
      />
    </>
  );
}

function inTime(time: string): string {
  const leftMs = Date.parse(time) - serverNowMs();
  return leftMs > 0 ? `in ${duration(leftMs)}` : "now";
}

const steps: Record<Verb, { title: string; button: string; text: string; isDanger?: boolean }> = {
  pause: {
    title: "Pause the webhook",
    button: "Pause",
    text: "Nothing is pushed until somebody resumes it. Messages wait, and other consumers may have them.",
  },
  resume: { title: "Resume the webhook", button: "Resume", text: "What waits is pushed at once." },
  rotate: {
    title: "Make a new secret",
    button: "Make a new secret",
    text: "It is shown once. The former ones sign beside it, so the receiver can change over at any time.",
  },
  delete: {
    title: "Remove the webhook",
    button: "Remove",
    text: "Nothing is pushed any more, and its secrets are gone. The messages stay for other consumers.",
    isDanger: true,
  },
};

interface StepProps {
  verb: Verb;
  subscription: Subscription;
  onDone(secret: string | undefined): void;
  onClose(): void;
}

function Step({ verb, subscription: { id, topic, name }, onDone, onClose }: StepProps) {
  const made = useSignal<string | undefined>(undefined);
  const { title, button, text, isDanger = false } = steps[verb];
  const path = `/api/v1/subscriptions/${id}/push`;
  const work = async () => {
    const { pushes } = hotswap();
    if (verb === "rotate") made.value = (await pushes.rotate(id)).secret;
    else await pushes[verb](id);
  };
  return (
    <Confirm
      title={title}
      verb={button}
      isDanger={isDanger}
      twin={{
        cli: `hotswap subscription push ${verb} ${shellWord(topic)} ${shellWord(name)}`,
        curl: verb === "delete" ? curl("DELETE", path) : curl("POST", `${path}/${verb}`),
      }}
      work={work}
      onDone={() => onDone(made.value)}
      onClose={onClose}
    >
      <p>{text}</p>
    </Confirm>
  );
}
