/** Pause, resume, promote, roll back: each with its reason and the same from a terminal. */
import { type Signal, useSignal } from "@preact/signals";
import type { Deployment } from "../../../client/src/index.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Field } from "../parts/field.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";

export type Verb = "pause" | "resume" | "promote" | "rollback";

interface ActionsProps {
  one: Deployment;
  verb: Signal<Verb | undefined>;
  onDone(): Promise<void>;
}

export function DeploymentActions({ one, verb, onDone }: ActionsProps) {
  const isPaused = one.holdReasons.includes("manual");
  const verbs: readonly [Verb, string, string][] = [
    ["promote", "Promote", "button"],
    isPaused ? ["resume", "Resume", "button"] : ["pause", "Pause", "button"],
    ["rollback", "Roll back", "button danger"],
  ];
  const close = () => {
    verb.value = undefined;
  };
  return (
    <>
      {verbs.map(([name, label, look]) => (
        <button
          key={name}
          type="button"
          class={look}
          disabled={one.status === "rolling_back"}
          onClick={() => {
            verb.value = name;
          }}
        >
          {label}
        </button>
      ))}
      {verb.value && (
        <VerbDialog
          key={verb.value}
          id={one.id}
          verb={verb.value}
          onClose={close}
          onDone={() => {
            close();
            void onDone();
          }}
        />
      )}
    </>
  );
}

const texts: Record<Verb, { title: string; button: string; about: string }> = {
  pause: {
    title: "Pause the deployment",
    button: "Pause",
    about: "It stays where it is, and its clock stands still. What hurts is still rolled back.",
  },
  resume: { title: "Resume the deployment", button: "Resume", about: "It goes on where it was paused." },
  promote: {
    title: "Promote the deployment",
    button: "Promote",
    about: "Ends the wait of this step, a gate, or a judge that cannot decide. Freezes stay.",
  },
  rollback: {
    title: "Roll the deployment back",
    button: "Roll back",
    about: "Everybody gets the old version at once. Freezes, gates and pauses do not stop this.",
  },
};

interface DialogProps {
  id: string;
  verb: Verb;
  onDone(): void;
  onClose(): void;
}

function VerbDialog({ id, verb, onDone, onClose }: DialogProps) {
  const reason = useSignal("");
  const isFull = useSignal(false);
  const { title, button, about } = texts[verb];
  const given = reason.value.trim();
  const { deployments } = hotswap();
  const works: Record<Verb, () => Promise<unknown>> = {
    pause: () => deployments.pause(id, given === "" ? undefined : given),
    resume: () => deployments.resume(id),
    promote: () => deployments.promote(id, { full: isFull.value, ...(given !== "" && { reason: given }) }),
    rollback: () => deployments.rollback(id, given),
  };
  const body = { ...(given !== "" && { reason: given }), ...(verb === "promote" && { full: isFull.value }) };
  const flags = [
    verb === "promote" && isFull.value ? " --full" : "",
    given === "" || verb === "resume" ? "" : ` --reason ${shellWord(given)}`,
  ];
  return (
    <Confirm
      title={title}
      verb={button}
      isDanger={verb === "rollback"}
      isReady={verb !== "rollback" || given !== ""}
      twin={{
        cli: `hotswap deployment ${verb} ${id}${flags.join("")}`,
        curl: curl("POST", `/api/v1/deployments/${id}/${verb}`, body),
      }}
      work={works[verb]}
      onDone={onDone}
      onClose={onClose}
    >
      <p>{about}</p>
      {verb !== "resume" && (
        <Field
          id="verb-reason"
          label="Reason"
          hint={verb === "rollback" ? "Kept in the audit." : "Optional."}
        >
          <input
            id="verb-reason"
            value={reason.value}
            aria-describedby="verb-reason-hint"
            onInput={(event) => {
              reason.value = event.currentTarget.value;
            }}
          />
        </Field>
      )}
      {verb === "promote" && (
        <label class="check">
          <input
            type="checkbox"
            checked={isFull.value}
            onChange={(event) => {
              isFull.value = event.currentTarget.checked;
            }}
          />
          Expose everybody at once
        </label>
      )}
    </Confirm>
  );
}
