/**
 * The next version, written with help: the draft is checked by the server while it is written, against the format and
 * the schema, and shows what it would change. What was typed is kept as a draft and found again later.
 */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Config, ConfigDraft } from "../../../client/src/index.ts";
import { HotSwapProblem } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Field } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { cliOptions, curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";
import { Changes } from "./changes.tsx";
import { SchemaHelp } from "./schema-help.tsx";
import { Trials } from "./trials.tsx";

/** After the last key, before the draft is checked. */
const PAUSE_MS = 400;

export function ConfigEditor({ config, onSaved }: { config: Config; onSaved(): Promise<void> }) {
  const { name, format, schema } = config;
  const text = useSignal<string | undefined>(undefined);
  const note = useSignal("");
  const draft = useSignal<ConfigDraft | undefined>(undefined);
  const checking = useAction();
  const publishing = useAction();
  useEffect(() => {
    void checking.run(async () => {
      text.value ??= await startOf(config, draft);
    });
  }, [name]);
  useEffect(() => {
    const typed = text.value;
    if (typed === undefined || typed === draft.value?.text) return;
    const timer = setTimeout(() => {
      void checking.run(async () => {
        const saved = await hotswap().configs.saveDraft(name, typed);
        if (saved.text === text.value) draft.value = saved;
      });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text.value, draft.value?.text, checking.isBusy.value]);
  const isChecked = draft.value !== undefined && draft.value.text === text.value;
  const isFit = isChecked && draft.value?.mistakes.length === 0;
  const kept = note.value.trim() || undefined;
  const publish = () =>
    publishing.run(async () => {
      await hotswap().configs.publishDraft(name, kept);
      await onSaved();
      go("configs", name);
    });
  const draftPath = `/api/v1/configs/${name}/draft`;
  return (
    <div class="columns">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void publish();
        }}
      >
        <Field
          id="config-text"
          label={`Document (${format})`}
          hint="Checked while you write, and kept as your draft."
        >
          <textarea
            id="config-text"
            class="code"
            rows={26}
            spellcheck={false}
            // What is typed before the document is there would be lost.
            disabled={text.value === undefined && !checking.error.value}
            aria-describedby="config-text-hint"
            aria-invalid={isChecked && !isFit}
            value={text.value ?? ""}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
        </Field>
        <Field id="config-note" label="Note" hint="Optional: why it changes.">
          <input
            id="config-note"
            value={note.value}
            aria-describedby="config-note-hint"
            onInput={(event) => {
              note.value = event.currentTarget.value;
            }}
          />
        </Field>
        <ProblemPanel error={publishing.error.value ?? checking.error.value} />
        <footer>
          <button type="submit" class="button primary" disabled={!isFit || publishing.isBusy.value}>
            Make it a version
          </button>
        </footer>
      </form>
      <div>
        <section class="panel" aria-live="polite">
          <h2>
            {isChecked ? (isFit ? "What would change" : "What keeps it from being a version") : "Checking…"}
          </h2>
          {draft.value && <Findings draft={draft.value} />}
        </section>
        <Trials name={name} isReady={isFit} />
        {schema && <SchemaHelp subject={schema.subject} version={schema.version} />}
        <TwinPanel
          twin={{
            cli: `hotswap config draft save ${shellWord(name)} FILE\nhotswap config draft publish ${shellWord(name)}${cliOptions([["note", kept]])}`,
            curl: `${curl("PUT", draftPath, { text: text.value ?? "" })}\n${curl("POST", `${draftPath}/publish`, { note: kept })}`,
          }}
        />
      </div>
    </div>
  );
}

/** The draft of last time, or else the newest version. */
async function startOf(
  { name, latestVersion }: Config,
  draft: { value: ConfigDraft | undefined },
): Promise<string> {
  const { configs } = hotswap();
  if ((await configs.drafts(name)).length > 0) {
    try {
      draft.value = await configs.draft(name);
      return draft.value.text;
    } catch (error) {
      if (!(error instanceof HotSwapProblem) || error.status !== 404) throw error; // others have one
    }
  }
  return latestVersion === null ? "" : (await configs.version(name, latestVersion)).text;
}

function Findings({ draft: { mistakes, warnings, changes } }: { draft: ConfigDraft }) {
  return (
    <>
      {mistakes.map(({ pointer, message, line, column }) => (
        <p key={`${pointer} ${message}`}>
          Line {line}, column {column}: {message} {pointer !== "" && <code>{pointer}</code>}
        </p>
      ))}
      {warnings.map(({ pointer, message }) => (
        <p key={`${pointer} ${message}`} class="muted">
          {message} <code>{pointer}</code>
        </p>
      ))}
      {mistakes.length === 0 && changes && <Changes all={changes} />}
    </>
  );
}
