/** What changed between two versions of a schema, and whether anything can break by it. */
import type { SchemaSummary } from "../../../client/src/index.ts";
import { Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { State } from "../parts/state.tsx";
import { useLive } from "../poll.ts";
import { ask, query } from "../route.ts";
import { hotswap } from "../session.ts";
import { toneOfVerdict } from "./tone.ts";
import { Counterexample } from "./verdict.tsx";

interface SchemaChangesProps {
  schema: SchemaSummary;
  versions: readonly SchemaSummary[];
}

export function SchemaChanges({ schema, versions }: SchemaChangesProps) {
  const others = versions.filter(({ version }) => version !== schema.version);
  const before = others.find(({ version }) => version < schema.version) ?? others.at(-1)!;
  const from = () => Number(query.value.since ?? before.version);
  const { answer, error } = useLive((signal) => hotswap().schemas.diff(schema.id, from(), { signal }), {
    intervalMs: 60_000, // versions do not change
    watch: from,
  });
  const diff = answer.value;
  return (
    <section class="panel">
      <div class="toolbar">
        <h2>What changed since</h2>
        <label for="diff-since">
          <span class="visually-hidden">Version to compare with</span>
          <Select
            id="diff-since"
            value={`${from()}`}
            options={others.map(({ version }) => [`${version}`, `version ${version}`] as const)}
            onChange={(since) => ask({ since })}
          />
        </label>
      </div>
      <ProblemPanel error={error.value} />
      {diff && (
        <>
          <ul class="changes">
            {diff.changes.map(({ pointer, before: old, after, annotation }) => (
              <li key={pointer}>
                <code class="change-place">{pointer || "/"}</code>
                {old !== undefined && <del>{JSON.stringify(old)}</del>}
                {after !== undefined && <ins>{JSON.stringify(after)}</ins>}
                {annotation && <span class="muted">says nothing about documents</span>}
              </li>
            ))}
          </ul>
          <div class="columns">
            {(["backward", "forward"] as const).map((direction) => (
              <div key={direction}>
                <p>
                  {direction === "backward"
                    ? `Reads what was written under version ${diff.from}: `
                    : `Is read under version ${diff.from}: `}
                  <State tone={toneOfVerdict[diff[direction].verdict]}>{diff[direction].verdict}</State>
                </p>
                <Counterexample comparison={diff[direction]} />
              </div>
            ))}
          </div>
        </>
      )}
    </section>
  );
}
