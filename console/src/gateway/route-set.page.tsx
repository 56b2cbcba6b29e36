/** The whole route set as a document: read it, change it, see what would change, make it so. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { RouteImport, RouteSpec } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { plural } from "../format.ts";
import { CopyButton } from "../parts/copy.tsx";
import { Field, Select } from "../parts/field.tsx";
import { Page } from "../parts/page.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { State } from "../parts/state.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import { Changes, Findings } from "./changes.tsx";
import { applying } from "./route-text.ts";

const modes = [
  ["replace", "replace: routes that are not named here go"],
  ["merge", "merge: routes that are not named here stay"],
] as const;

export function RouteSetPage() {
  const text = useSignal<string | undefined>(undefined);
  const mode = useSignal<"replace" | "merge">("replace");
  /** What the last try or import said, and to which text. */
  const outcome = useSignal<{ of: string; result: RouteImport } | undefined>(undefined);
  const { isBusy, error, run } = useAction();
  useEffect(() => {
    void run(async () => {
      const { routes } = await hotswap().gateway.exportRoutes();
      text.value ??= JSON.stringify({ routes }, null, 2);
    });
  }, []);
  const routes = text.value === undefined ? "" : read(text.value);
  const isMalformed = typeof routes === "string";
  const asked = `${mode.value} ${text.value}`;
  const send = (dryRun: boolean) => {
    if (isMalformed) return;
    void run(async () => {
      const result = await hotswap().gateway.importRoutes(routes, { dryRun, mode: mode.value });
      outcome.value = { of: asked, result };
    });
  };
  const result = outcome.value?.of === asked ? outcome.value.result : undefined;
  const path = `/api/v1/gateway/routes/import?mode=${mode.value}`;
  return (
    <Page title="Route set" within={["Routes", "routes"]} isBusy={text.value === undefined}>
      <div class="columns">
        <form
          class="panel"
          onSubmit={(event) => {
            event.preventDefault();
            send(false);
          }}
        >
          <Field
            id="set-text"
            label="All routes (JSON)"
            hint={isMalformed && routes !== "" ? routes : "All of it is taken, or nothing."}
          >
            <textarea
              id="set-text"
              class="code"
              rows={28}
              spellcheck={false}
              // What is typed before the set is there would be lost.
              disabled={text.value === undefined && !error.value}
              aria-describedby="set-text-hint"
              aria-invalid={isMalformed && routes !== ""}
              value={text.value ?? ""}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
            />
          </Field>
          <Field id="set-mode" label="How">
            <Select
              id="set-mode"
              value={mode.value}
              options={modes}
              onChange={(value) => {
                mode.value = value;
              }}
            />
          </Field>
          <ProblemPanel error={error.value} />
          <footer>
            <CopyButton text={text.value ?? ""} label="the set" shown />
            <button
              type="button"
              class="button"
              disabled={isMalformed || isBusy.value}
              onClick={() => send(true)}
            >
              Try
            </button>
            {/* What would be removed must have been seen. */}
            <button type="submit" class="button primary" disabled={!result?.dryRun || isBusy.value}>
              Apply
            </button>
          </footer>
        </form>
        <div>
          <section class="panel" aria-live="polite">
            <h2>{result && !result.dryRun ? "Applied" : "What would change"}</h2>
            {result ? <Outcome result={result} /> : <p class="muted">Try it to see, then apply it.</p>}
          </section>
          {!isMalformed && (
            <TwinPanel twin={{ cli: applying(routes, mode.value), curl: curl("POST", path, { routes }) }} />
          )}
        </div>
      </div>
    </Page>
  );
}

function Outcome({ result: { diff, warnings, revision } }: { result: RouteImport }) {
  const { added, changed, removed, unchanged } = diff;
  const isSame = added.length + changed.length + removed.length === 0;
  return (
    <>
      <p class="muted">
        Revision {revision}. {isSame ? "Nothing changes." : `${plural(unchanged, "route")} unchanged.`}
      </p>
      <ul class="findings">
        {added.map((name) => (
          <li key={name}>
            <State tone="good">new</State> {name}
          </li>
        ))}
        {removed.map((name) => (
          <li key={name}>
            <State tone="bad">removed</State> {name}
          </li>
        ))}
        {changed.map(({ name, changes }) => (
          <li key={name}>
            <State tone="warn">changed</State> {name}
            <Changes all={changes} />
          </li>
        ))}
      </ul>
      <Findings all={warnings} />
    </>
  );
}

/** The routes, or what is wrong with the text. */
function read(text: string): RouteSpec[] | string {
  try {
    const { routes } = JSON.parse(text) as { routes?: RouteSpec[] };
    return Array.isArray(routes) ? routes : 'A set is { "routes": [ … ] }';
  } catch (error) {
    return `Not JSON yet: ${(error as Error).message}`;
  }
}
