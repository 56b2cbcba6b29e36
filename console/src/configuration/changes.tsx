/** What differs between two documents, place by place. Secrets come masked from the server. */
import type { ConfigChange } from "../../../client/src/index.ts";
import { State, type Tone } from "../parts/state.tsx";

const tones: Record<ConfigChange["kind"], Tone> = {
  added: "good",
  removed: "bad",
  changed: "warn",
  moved: "plain",
};

export function Changes({ all }: { all: readonly ConfigChange[] }) {
  if (all.length === 0) return <p class="muted">Nothing differs.</p>;
  return (
    <ul class="changes">
      {all.map(({ kind, pointer, label, before, after }) => (
        <li key={`${kind} ${pointer}`}>
          <State tone={tones[kind]}>{kind}</State> <code>{label || "the whole document"}</code>
          {before !== undefined && <del>{shown(before)}</del>}
          {after !== undefined && <ins>{shown(after)}</ins>}
        </li>
      ))}
    </ul>
  );
}

const shown = (value: unknown) => {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
};
