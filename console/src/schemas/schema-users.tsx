/** Who uses a version of a schema: what must be looked at before it is deprecated. */
import type { SchemaUser } from "../../../client/src/index.ts";
import { Dash } from "../parts/number.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

export function SchemaUsers({ id }: { id: string }) {
  const { answer: usage, error } = useLive((signal) => hotswap().schemas.usage(id, { signal }), {
    intervalMs: 5000,
  });
  const { items = [], total = 0, missing = [] } = usage.value ?? {};
  return (
    <>
      <ProblemPanel error={error.value} />
      {items.length > 0 && (
        <Table
          title="Who uses it"
          rows={items}
          columns={columns}
          keyOf={({ kind, name, of }) => `${kind} ${of} ${name}`}
        />
      )}
      {total > items.length && <p class="muted">And {total - items.length} more.</p>}
      {usage.value && total === 0 && <p class="muted">Nothing uses this version.</p>}
      {missing.length > 0 && <p class="muted">Not heard in time: {missing.join(", ")}.</p>}
    </>
  );
}

const columns: readonly Column<SchemaUser>[] = [
  { head: "Name", cell: (user) => <NameOf user={user} /> },
  { head: "Kind", cell: ({ kind }) => kind },
  { head: "Of", cell: ({ of }) => of ?? <Dash /> },
  { head: "As", cell: ({ version }) => (version === null ? "the newest version" : `version ${version}`) },
];

/** Where there is a page for it, a link. */
function NameOf({ user: { kind, name, of } }: { user: SchemaUser }) {
  const topic = kind === "topic" ? name : of?.split("/", 1)[0];
  if (kind === "config") return <a href={href("configs", name)}>{name}</a>;
  return topic === undefined ? name : <a href={href("topics", topic)}>{name}</a>;
}
