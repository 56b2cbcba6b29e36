/** Asks for a token when the tab has none, and says where one comes from. */
import { useSignal } from "@preact/signals";
import { Field } from "./parts/field.tsx";
import { Logo } from "./parts/icon.tsx";
import { ProblemPanel } from "./parts/problem.tsx";
import { Command } from "./parts/twin.tsx";
import { endedBy, signIn } from "./session.ts";

export function SignIn() {
  const draft = useSignal("");
  const submit = (event: Event) => {
    event.preventDefault();
    const token = draft.value.trim();
    if (token) signIn(token);
  };
  return (
    <main class="sign-in">
      <form class="panel" onSubmit={submit}>
        <h1>
          <Logo />
          HotSwap
        </h1>
        <ProblemPanel error={endedBy.value} />
        <Field id="token" label="Token" hint="It stays in this tab and is forgotten when the tab closes.">
          <input
            id="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            aria-describedby="token-hint"
            value={draft.value}
            onInput={(event) => {
              draft.value = event.currentTarget.value;
            }}
          />
        </Field>
        <button type="submit" class="button primary" disabled={draft.value.trim() === ""}>
          Sign in
        </button>
        <div class="hint">
          <p>No token yet? Make one where the server runs:</p>
          <Command text="hotswap token --role admin" />
        </div>
      </form>
    </main>
  );
}
