/** What a change would do: places with their old and new values, and routes that get in each other's way. */
import type { PlaceChange, RouteFinding } from "../../../client/src/index.ts";
import { State } from "../parts/state.tsx";

export function Changes({ all }: { all: readonly PlaceChange[] }) {
  return (
    <ul class="changes">
      {all.map(({ pointer, before, after }) => (
        <li key={pointer}>
          <code class="change-place">{pointer || "/"}</code>
          {before !== undefined && <del>{JSON.stringify(before)}</del>}
          {after !== undefined && <ins>{JSON.stringify(after)}</ins>}
        </li>
      ))}
    </ul>
  );
}

export function Findings({ all }: { all: readonly RouteFinding[] }) {
  return (
    <ul class="findings">
      {all.map(({ kind, route, other, message }) => (
        <li key={`${kind} ${route} ${other}`}>
          <State tone={kind === "unreachable" ? "bad" : "warn"}>{kind}</State> {message}
        </li>
      ))}
    </ul>
  );
}
