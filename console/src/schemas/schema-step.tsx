/** The dialog before the next step of a schema's life, with what it means and what stands against it. */
import { useSignal } from "@preact/signals";
import type { SchemaStep, SchemaVersion } from "../../../client/src/index.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Field } from "../parts/field.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import { SchemaUsers } from "./schema-users.tsx";

const meanings: Record<SchemaStep, { verb: string; text: string; isDanger?: boolean }> = {
  submit: {
    verb: "Submit",
    text: "Somebody else is asked to approve it. What is proven to break nothing may be approved at once.",
  },
  approve: {
    verb: "Approve",
    text: "From now on documents may be written and read under it. Nobody approves their own schema.",
  },
  deprecate: {
    verb: "Deprecate",
    text: "It stays in force, and everybody is told to move to another version. Refused while something uses it.",
  },
  retire: {
    verb: "Retire",
    text: "It is taken out of force for good.",
    isDanger: true,
  },
};

interface TakeStepProps {
  schema: SchemaVersion;
  step: SchemaStep;
  onDone(): void;
  onClose(): void;
}

export function TakeStep({ schema, step, onDone, onClose }: TakeStepProps) {
  const reason = useSignal("");
  const isForced = useSignal(false);
  const { verb, text, isDanger = false } = meanings[step];
  const { id, subject, version } = schema;
  const said = reason.value.trim();
  const isEnd = step === "deprecate" || step === "retire";
  const body = { ...(said && { reason: said }), ...(isEnd && isForced.value && { force: true }) };
  const flags = [
    ...(said && step !== "submit" ? [`--reason ${shellWord(said)}`] : []),
    ...(isEnd && isForced.value ? ["--force"] : []),
  ];
  const work = () => {
    const { schemas } = hotswap();
    if (step === "submit") return schemas.submit(id);
    if (step === "approve") return schemas.approve(id, said || undefined);
    return step === "deprecate" ? schemas.deprecate(id, body) : schemas.retire(id, body);
  };
  return (
    <Confirm
      title={`${verb} ${subject}, version ${version}`}
      verb={verb}
      isDanger={isDanger}
      twin={{
        cli: [`hotswap schema ${step} ${shellWord(`${subject}@${version}`)}`, ...flags].join(" "),
        curl: curl("POST", `/api/v1/schemas/${id}/${step}`, step === "submit" ? undefined : body),
      }}
      work={work}
      onDone={onDone}
      onClose={onClose}
    >
      <p>{text}</p>
      {isEnd && <SchemaUsers id={id} />}
      {step !== "submit" && (
        <Field id="step-reason" label="Reason" hint="Optional; kept in the audit.">
          <input
            id="step-reason"
            value={reason.value}
            autocomplete="off"
            aria-describedby="step-reason-hint"
            onInput={(event) => {
              reason.value = event.currentTarget.value;
            }}
          />
        </Field>
      )}
      {isEnd && (
        <label class="tick">
          <input
            type="checkbox"
            checked={isForced.value}
            onChange={(event) => {
              isForced.value = event.currentTarget.checked;
            }}
          />
          Also when something uses it
        </label>
      )}
    </Confirm>
  );
}
