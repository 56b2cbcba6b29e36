/** One version of a schema: its text, what it breaks, what changed, who uses it, and the next step of its life. */
import { useSignal } from "@preact/signals";
import type { SchemaState, SchemaStep, SchemaSummary, SchemaVersion } from "../../../client/src/index.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonText } from "../parts/json.tsx";
import { Page } from "../parts/page.tsx";
import { Rows } from "../parts/rows.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href, hrefWith } from "../route.ts";
import { hotswap } from "../session.ts";
import { SchemaChanges } from "./schema-changes.tsx";
import { TakeStep } from "./schema-step.tsx";
import { SchemaUsers } from "./schema-users.tsx";
import { toneOfSchema } from "./tone.ts";
import { Verdict } from "./verdict.tsx";

const steps: Record<SchemaState, readonly SchemaStep[]> = {
  draft: ["retire", "submit"],
  in_review: ["retire", "submit", "approve"],
  approved: ["deprecate"],
  deprecated: ["retire"],
  retired: [],
};
const verbs: Record<SchemaStep, string> = {
  submit: "Submit",
  approve: "Approve",
  deprecate: "Deprecate",
  retire: "Retire",
};

export function SchemaPage({ id }: { id: string }) {
  const step = useSignal<SchemaStep | undefined>(undefined);
  const { answer, error, refresh } = useLive(async (signal) => {
    const schema = await hotswap().schemas.get(id, { signal });
    const versions = await hotswap().schemas.list({ subject: schema.subject, limit: 1000, signal });
    return { schema, versions: versions.items.toSorted((a, b) => b.version - a.version) };
  });
  const schema = answer.value?.schema;
  const next = schema ? steps[schema.state] : [];
  return (
    <Page
      title={schema ? `${schema.subject}, version ${schema.version}` : "Schema"}
      within={["Schemas", "schemas"]}
      isBusy={schema === undefined}
      error={error.value}
      lead={schema && <p class="description">{schema.description}</p>}
      actions={
        schema && (
          <>
            <a class="button" href={hrefWith({ subject: schema.subject }, "schemas", "new")}>
              <Icon name="plus" /> Next version
            </a>
            {next.map((one) => (
              <button
                key={one}
                type="button"
                class={`button${one === next.at(-1) && one !== "retire" ? " primary" : ""}`}
                onClick={() => {
                  step.value = one;
                }}
              >
                {schema.state === "in_review" && one === "submit" ? "Submit again" : verbs[one]}
              </button>
            ))}
          </>
        )
      }
    >
      {schema && (
        <>
          <div class="columns">
            <section class="panel">
              <h2>Schema</h2>
              <JsonText value={schema.schema} />
              <CopyButton text={JSON.stringify(schema.schema, null, 2)} label="the schema" shown />
            </section>
            <div>
              <Facts schema={schema} />
              <section class="panel">
                <h2>Compatibility</h2>
                <Verdict verdict={schema.compatibility} />
              </section>
            </div>
          </div>
          {answer.value!.versions.length > 1 && (
            <>
              <SchemaChanges schema={schema} versions={answer.value!.versions} />
              <Table
                title="Versions"
                rows={answer.value!.versions}
                columns={versionColumns}
                keyOf={(one) => one.id}
                to={(one) => ["schemas", one.id]}
              />
            </>
          )}
          <SchemaUsers id={id} />
          <TwinPanel
            twin={{
              cli: `hotswap schema usage ${shellWord(`${schema.subject}@${schema.version}`)}`,
              curl: curl("GET", `/api/v1/schemas/${id}/usage`),
            }}
          />
        </>
      )}
      {schema && step.value && (
        <TakeStep
          schema={schema}
          step={step.value}
          onDone={() => {
            step.value = undefined;
            void refresh();
          }}
          onClose={() => {
            step.value = undefined;
          }}
        />
      )}
    </Page>
  );
}

function Facts({ schema }: { schema: SchemaVersion }) {
  const { state, number, draft, author, createdAt, updatedAt, hash, approvalId } = schema;
  const since = (time: string) => ago(serverNowMs() - Date.parse(time));
  return (
    <section class="panel">
      <h2>About it</h2>
      <Rows
        all={[
          [
            "State",
            <State key="state" tone={toneOfSchema[state]}>
              {state.replace("_", " ")}
            </State>,
          ],
          ["Number", `${number}, before each message of a serializer`],
          ["Draft of JSON Schema", draft],
          ["Author", `${author}, ${since(createdAt)}`],
          ["Changed", since(updatedAt)],
          approvalId !== null && [
            "Approval",
            <a key="approval" href={href("approvals", approvalId)}>
              see the request
            </a>,
          ],
          ["Hash", <code key="hash">{hash}</code>],
        ]}
      />
    </section>
  );
}

const versionColumns: readonly Column<SchemaSummary>[] = [
  { head: "Version", cell: ({ version }) => version, note: ({ description }) => description },
  {
    head: "State",
    cell: ({ state }) => <State tone={toneOfSchema[state]}>{state.replace("_", " ")}</State>,
  },
  {
    head: "Compatibility",
    cell: ({ compatible }) => (
      <State tone={compatible ? "good" : "bad"}>{compatible ? "breaks nothing" : "breaks something"}</State>
    ),
  },
  { head: "Author", cell: ({ author }) => author },
  {
    head: "Changed",
    isNumber: true,
    cell: ({ updatedAt }) => ago(serverNowMs() - Date.parse(updatedAt)),
  },
];
