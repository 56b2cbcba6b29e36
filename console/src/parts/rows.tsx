/** Names and values below each other. Rows without a value are left out. */
import type { ComponentChildren } from "preact";

export type RowEntry = readonly [name: ComponentChildren, value: ComponentChildren];

export function Rows({ all }: { all: readonly (RowEntry | false | null | undefined)[] }) {
  const given = all.filter((row) => row && row[1] !== undefined && row[1] !== null) as RowEntry[];
  return (
    <dl class="rows">
      {given.map(([name, value], index) => (
        <div key={typeof name === "string" ? name : index}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
