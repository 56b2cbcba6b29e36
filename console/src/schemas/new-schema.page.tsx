/** Registers a schema: what it would break is shown before, also with real messages of a topic. */
import { useSignal } from "@preact/signals";
import type { Json, SchemaTrial } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { go, query } from "../route.ts";
import { hotswap } from "../session.ts";
import { TriedMessages, Verdict } from "./verdict.tsx";

const firstSchema = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "integer" }, customer: { type: "string" } },
};

export function NewSchemaPage() {
  const subject = useSignal(query.value.subject ?? "");
  const text = useSignal(JSON.stringify(firstSchema, null, 2));
  const topic = useSignal("");
  const tried = useSignal<{ of: string; trial: SchemaTrial } | undefined>(undefined);
  const { isBusy, error, run } = useAction();
  const schema = read(text.value);
  const name = subject.value.trim();
  const isReady = schema.value !== undefined && name !== "" && !isBusy.value;
  const asked = JSON.stringify([name, text.value, topic.value]);
  const trial = tried.value?.of === asked ? tried.value.trial : undefined;
  const attempt = () => {
    if (!isReady) return;
    void run(async () => {
      const of = topic.value.trim();
      const request = { subject: name, schema: schema.value!, ...(of && { replay: { topic: of } }) };
      tried.value = { of: asked, trial: await hotswap().schemas.check(request) };
    });
  };
  const register = (submit: boolean) =>
    run(async () => {
      const { id } = await hotswap().schemas.register({ subject: name, schema: schema.value!, submit });
      go("schemas", id);
    });
  return (
    <Page title="Register a schema" within={["Schemas", "schemas"]}>
      <div class="columns">
        <form
          class="panel"
          onSubmit={(event) => {
            event.preventDefault();
            void register(true);
          }}
        >
          <Field id="schema-subject" label="Subject" hint="What it describes, such as orders-value">
            <input
              id="schema-subject"
              value={subject.value}
              autocomplete="off"
              spellcheck={false}
              aria-describedby="schema-subject-hint"
              onInput={(event) => {
                subject.value = event.currentTarget.value;
              }}
            />
          </Field>
          <Field
            id="schema-text"
            label="JSON Schema"
            hint={schema.problem ?? "Draft 2020-12, or 7 by $schema. Ctrl + Enter tries it."}
          >
            <textarea
              id="schema-text"
              class="code"
              rows={20}
              spellcheck={false}
              aria-describedby="schema-text-hint"
              aria-invalid={schema.problem !== undefined}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
              onKeyDown={(event) => {
                if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) attempt();
              }}
            />
          </Field>
          <Field
            id="schema-topic"
            label="Try with messages of"
            hint="Optional: a topic, whose newest 1,000 are held against it."
          >
            <input
              id="schema-topic"
              value={topic.value}
              autocomplete="off"
              spellcheck={false}
              aria-describedby="schema-topic-hint"
              onInput={(event) => {
                topic.value = event.currentTarget.value;
              }}
            />
          </Field>
          <ProblemPanel error={error.value} />
          <footer>
            <button type="button" class="button" disabled={!isReady} onClick={attempt}>
              Try
            </button>
            <button type="button" class="button" disabled={!isReady} onClick={() => void register(false)}>
              Register a draft
            </button>
            <button type="submit" class="button primary" disabled={!isReady}>
              Register and submit
            </button>
          </footer>
        </form>
        <div>
          <section class="panel" aria-live="polite">
            <h2>What it would break</h2>
            {trial ? (
              <>
                <Verdict verdict={trial.compatibility} />
                {trial.replay && <TriedMessages replay={trial.replay} />}
              </>
            ) : (
              <p class="muted">Try it to see. Nothing is kept by that.</p>
            )}
          </section>
          {schema.value !== undefined && (
            <TwinPanel
              twin={{
                cli: undefined,
                curl: curl("POST", "/api/v1/schemas", {
                  subject: name || "orders-value",
                  schema: schema.value,
                  submit: true,
                }),
              }}
            />
          )}
        </div>
      </div>
    </Page>
  );
}

function read(text: string): { value?: Json; problem?: string } {
  try {
    const value = JSON.parse(text) as Json;
    const isSchema =
      typeof value === "boolean" || (typeof value === "object" && value && !Array.isArray(value));
    return isSchema ? { value } : { problem: "A schema is an object, true or false." };
  } catch (error) {
    return { problem: `Not JSON yet: ${(error as Error).message}` };
  }
}
