/** The dialog before something is done that matters: what happens, the same from a terminal, and the button. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useAction } from "../action.ts";
import { Dialog } from "./dialog.tsx";
import { Field } from "./field.tsx";
import { ProblemPanel } from "./problem.tsx";
import { type Twin, TwinPanel } from "./twin.tsx";

interface ConfirmProps {
  title: string;
  /** The button, such as "Delete topic". */
  verb: string;
  isDanger?: boolean;
  /** Must be typed before the button works, where nothing brings back what is lost. */
  typed?: string;
  /** False while what is asked inside is not answered. */
  isReady?: boolean;
  twin: Twin;
  work(): Promise<unknown>;
  onDone(): void;
  onClose(): void;
  children?: ComponentChildren;
}

export function Confirm(props: ConfirmProps) {
  const {
    title,
    verb,
    isDanger = false,
    typed,
    isReady = true,
    twin,
    work,
    onDone,
    onClose,
    children,
  } = props;
  const text = useSignal("");
  const { isBusy, error, run } = useAction();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (await run(work)) onDone();
  };
  const isConfirmed = typed === undefined || text.value === typed;
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {typed !== undefined && (
          <Field id="confirm-name" label={`Type ${typed} to confirm`}>
            <input
              id="confirm-name"
              autocomplete="off"
              spellcheck={false}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
            />
          </Field>
        )}
        <ProblemPanel error={error.value} />
        <TwinPanel twin={twin} />
        <footer>
          <button
            type="submit"
            class={`button ${isDanger ? "danger" : "primary"}`}
            disabled={!isConfirmed || !isReady || isBusy.value}
          >
            {verb}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
