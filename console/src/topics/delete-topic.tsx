/** The dialog that deletes a topic; its name must be typed, because nothing brings the messages back. */
import { useSignal } from "@preact/signals";
import { plural } from "../format.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap, refusedToken } from "../session.ts";
import { forget, numbersOf } from "./live.ts";

export function DeleteTopic({ name, onClose }: { name: string; onClose(): void }) {
  const typed = useSignal("");
  const error = useSignal<unknown>(undefined);
  const stats = numbersOf(name).stats.value;
  const what = stats
    ? `${plural(stats.messages, "stored message")} and ${plural(stats.subscriptions.length, "subscription")}`
    : "the topic's messages and subscriptions";
  const submit = async (event: Event) => {
    event.preventDefault();
    try {
      await hotswap().topics.delete(name);
      forget(name);
      go("topics");
    } catch (failure) {
      if (!refusedToken(failure)) error.value = failure;
    }
  };
  return (
    <Dialog title={`Delete ${name}`} onClose={onClose}>
      <form onSubmit={submit}>
        <p>This deletes {what}. They cannot be brought back.</p>
        <Field id="delete-name" label={`Type ${name} to confirm`}>
          <input
            id="delete-name"
            autocomplete="off"
            spellcheck={false}
            value={typed.value}
            onInput={(event) => {
              typed.value = event.currentTarget.value;
            }}
          />
        </Field>
        <ProblemPanel error={error.value} />
        <TwinPanel
          twin={{
            cli: `hotswap topic delete ${shellWord(name)}`,
            curl: curl("DELETE", `/api/v1/topics/${encodeURIComponent(name)}`),
          }}
        />
        <footer>
          <button type="submit" class="button danger" disabled={typed.value !== name}>
            Delete topic
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
