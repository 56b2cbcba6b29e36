/**
 * Writes a route as JSON: what is wrong with it, what would change, what it would get in the way of, all before
 * it is kept. Trying is a dry run at the server, so that nothing is judged here that is judged there again.
 */
import { useSignal } from "@preact/signals";
import type { ChangedRoute, RouteFinding, RouteSpec } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { type Twin, TwinPanel } from "../parts/twin.tsx";
import { Changes, Findings } from "./changes.tsx";
import { differences } from "./route-text.ts";

interface RouteEditorProps {
  /** What is there now; undefined for a new route. */
  current: RouteSpec | undefined;
  /** What the box holds at first. */
  start: RouteSpec;
  verb: string;
  save(spec: RouteSpec, dryRun: boolean): Promise<ChangedRoute>;
  onSaved(route: ChangedRoute): void;
  twinOf(spec: RouteSpec): Twin;
}

export function RouteEditor({ current, start, verb, save, onSaved, twinOf }: RouteEditorProps) {
  const text = useSignal(JSON.stringify(start, null, 2));
  /** The text that was tried, and what the server said to it. */
  const tried = useSignal<{ text: string; warnings: RouteFinding[] } | undefined>(undefined);
  const { isBusy, error, run } = useAction();
  const spec = read(text.value);
  const isMalformed = typeof spec === "string";
  const changes = isMalformed || current === undefined ? [] : differences(current, spec);
  const attempt = (dryRun: boolean) => {
    if (isMalformed) return;
    const given = text.value;
    void run(async () => {
      const route = await save(spec, dryRun);
      if (dryRun) tried.value = { text: given, warnings: route.warnings };
      else onSaved(route);
    });
  };
  const isTried = tried.value?.text === text.value;
  return (
    <div class="columns">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          attempt(false);
        }}
      >
        <Field
          id="route-text"
          label="Route (JSON)"
          hint={
            isMalformed ? spec : "Ctrl + Enter tries it. All fields: see createRoute in the API reference."
          }
        >
          <textarea
            id="route-text"
            class="code"
            rows={26}
            spellcheck={false}
            aria-describedby="route-text-hint"
            aria-invalid={isMalformed}
            value={text.value}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
            onKeyDown={(event) => {
              if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) attempt(true);
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <footer>
          <button
            type="button"
            class="button"
            disabled={isMalformed || isBusy.value}
            onClick={() => attempt(true)}
          >
            Try
          </button>
          <button type="submit" class="button primary" disabled={isMalformed || isBusy.value}>
            {verb}
          </button>
        </footer>
      </form>
      <div>
        {current !== undefined && (
          <section class="panel">
            <h2>What changes</h2>
            {changes.length > 0 ? <Changes all={changes} /> : <p class="muted">Nothing yet.</p>}
          </section>
        )}
        <section class="panel" aria-live="polite">
          <h2>What the server says</h2>
          {!isTried && <p class="muted">Try it to see. Nothing is changed by that.</p>}
          {isTried && tried.value!.warnings.length === 0 && <p>It is a route, and gets in no other's way.</p>}
          {isTried && <Findings all={tried.value!.warnings} />}
        </section>
        {!isMalformed && <TwinPanel twin={twinOf(spec)} />}
      </div>
    </div>
  );
}

/** The route, or what is wrong with the text. */
function read(text: string): RouteSpec | string {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as RouteSpec) : "A route is an object: { … }";
  } catch (error) {
    return `Not JSON yet: ${(error as Error).message}`;
  }
}
