/** Whether a schema fits the versions in force, each with the document that shows that it does not. */
import type { Json, SchemaComparison, SchemaTrial, SchemaVerdict } from "../../../client/src/index.ts";
import { exact, plural } from "../format.ts";
import { JsonText } from "../parts/json.tsx";
import { State } from "../parts/state.tsx";
import { toneOfVerdict } from "./tone.ts";

const meanings = {
  backward: "The new schema must read what was written under",
  forward: "What is written under the new schema must be read under",
};

export function Verdict({ verdict: { mode, compatible, checks } }: { verdict: SchemaVerdict }) {
  return (
    <>
      <p>
        <State tone={compatible ? "good" : "bad"}>{compatible ? "breaks nothing" : "breaks something"}</State>{" "}
        <span class="muted">Compatibility asked for: {mode.replace("_", " ")}.</span>
      </p>
      {checks.length === 0 && <p class="muted">There is no version to compare it with.</p>}
      <ul class="findings">
        {checks.map(({ version, direction, ...comparison }) => (
          <li key={`${version} ${direction}`}>
            <p>
              {meanings[direction]} version {version}:{" "}
              <State tone={toneOfVerdict[comparison.verdict]}>{comparison.verdict}</State>
            </p>
            <Counterexample comparison={comparison} />
          </li>
        ))}
      </ul>
    </>
  );
}

export function Counterexample({ comparison }: { comparison: SchemaComparison }) {
  const { counterexample, reason } = comparison;
  return (
    <>
      {reason !== undefined && <p class="muted">{reason}</p>}
      {counterexample !== undefined && (
        <>
          <p class="muted">This document shows it: valid under the one, and not under the other.</p>
          <JsonText value={counterexample as Json} />
        </>
      )}
    </>
  );
}

/** How real messages do under a schema that was tried. */
export function TriedMessages({ replay }: { replay: NonNullable<SchemaTrial["replay"]> }) {
  const { topic, messages, failing, share, places } = replay;
  return (
    <>
      <p>
        <State tone={failing === 0 ? "good" : "bad"}>
          {failing === 0 ? "all fit" : `${exact(failing)} do not fit`}
        </State>{" "}
        <span class="muted">
          Of the newest {plural(messages, "message")} of {topic}
          {failing > 0 && `, ${(share * 100).toFixed(1)} %`}.
        </span>
      </p>
      <ul class="findings">
        {places.map(({ pointer, message, count }) => (
          <li key={`${pointer} ${message}`}>
            <code>{pointer || "/"}</code> {message} <span class="muted">× {exact(count)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
