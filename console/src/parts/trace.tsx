/**
 * The trace that something belongs to. Where traces are looked at is not known to the server, so each browser
 * keeps an address of its own, with {trace} in the place of the id.
 */
import { signal, useSignal } from "@preact/signals";
import { CopyButton } from "./copy.tsx";
import { Dialog } from "./dialog.tsx";
import { Field } from "./field.tsx";

const storageKey = "hotswap.traces";
const viewer = signal(localStorage.getItem(storageKey) ?? "");

/** The trace id of a W3C traceparent; undefined when there is none. */
export const traceIdOf = (traceparent: string | undefined): string | undefined =>
  /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent ?? "")?.[1];

export function Trace({ id }: { id: string }) {
  const isAsking = useSignal(false);
  const address = viewer.value.replaceAll("{trace}", id);
  return (
    <>
      {address ? (
        <a href={address} target="_blank" rel="noreferrer">
          <code>{id}</code>
        </a>
      ) : (
        <code>{id}</code>
      )}
      <CopyButton text={id} label="the trace id" />
      <button
        type="button"
        class="button quiet small"
        onClick={() => {
          isAsking.value = true;
        }}
      >
        {address ? "Change the link" : "Link it…"}
      </button>
      {isAsking.value && (
        <AskViewer
          onClose={() => {
            isAsking.value = false;
          }}
        />
      )}
    </>
  );
}

function AskViewer({ onClose }: { onClose(): void }) {
  const draft = useSignal(viewer.value);
  const text = draft.value.trim();
  const isGood = text === "" || (/^https?:\/\//.test(text) && text.includes("{trace}"));
  const submit = (event: Event) => {
    event.preventDefault();
    viewer.value = text;
    localStorage.setItem(storageKey, text);
    onClose();
  };
  return (
    <Dialog title="Where traces are looked at" onClose={onClose}>
      <form onSubmit={submit}>
        <Field
          id="trace-viewer"
          label="Address"
          hint="Of Jaeger, Tempo or another, with {trace} where the id belongs, such as http://127.0.0.1:16686/trace/{trace}"
        >
          <input
            id="trace-viewer"
            value={draft.value}
            autocomplete="off"
            spellcheck={false}
            aria-describedby="trace-viewer-hint"
            aria-invalid={!isGood}
            onInput={(event) => {
              draft.value = event.currentTarget.value;
            }}
          />
        </Field>
        <p class="hint">
          This browser remembers it. The server sends traces by OTLP when its settings say so.
        </p>
        <footer>
          <button type="submit" class="button primary" disabled={!isGood}>
            Keep
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
