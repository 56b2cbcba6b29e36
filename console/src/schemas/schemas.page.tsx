/** All subjects of the schema registry with their newest versions. */
import type { SchemaSubject, SchemaSummary } from "../../../client/src/index.ts";
import { ago, plural } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Icon } from "../parts/icon.tsx";
import { Dash } from "../parts/number.tsx";
import { Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { toneOfSchema } from "./tone.ts";

interface SubjectRow {
  subject: SchemaSubject;
  newest: SchemaSummary;
  versions: number;
}

const pageSize = 1000;

export function SchemasPage() {
  const { answer, error } = useLive(async (signal) => {
    const [subjects, versions] = await Promise.all([
      hotswap().schemas.subjects({ limit: pageSize, signal }),
      hotswap().schemas.list({ limit: pageSize, signal }),
    ]);
    const bySubject = Map.groupBy(versions.items, ({ subject }) => subject);
    const rows = subjects.items.flatMap((subject): SubjectRow[] => {
      const own = bySubject.get(subject.name) ?? [];
      const newest = own.toSorted((a, b) => b.version - a.version)[0];
      return newest ? [{ subject, newest, versions: own.length }] : [];
    });
    return { rows, isCut: versions.next !== null || subjects.next !== null };
  });
  const all = answer.value?.rows;
  const shown = all?.filter(({ subject, newest }) => fits(subject.name, newest.state, newest.author)) ?? [];
  return (
    <Page
      title="Schemas"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && plural(all.length, "subject")}</p>}
      actions={
        <>
          {all && all.length > 0 && <SearchBox label="Search subjects" />}
          <a class="button primary" href={href("schemas", "new")}>
            <Icon name="plus" /> Register schema
          </a>
        </>
      }
    >
      {all?.length === 0 && <NoSchemas />}
      {shown.length > 0 && (
        <Table
          rows={shown}
          columns={columns}
          keyOf={({ subject }) => subject.name}
          to={({ newest }) => ["schemas", newest.id]}
        />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="subject" />}
      {answer.value?.isCut && <p class="muted">There are more than are shown here.</p>}
      {shown.length > 0 && (
        <TwinPanel twin={{ cli: "hotswap schema list", curl: curl("GET", "/api/v1/schemas") }} />
      )}
    </Page>
  );
}

const columns: readonly Column<SubjectRow>[] = [
  { head: "Subject", cell: ({ subject }) => subject.name, note: ({ newest }) => newest.description },
  { head: "Newest", isNumber: true, cell: ({ newest }) => newest.version },
  {
    head: "State",
    cell: ({ newest }) => <State tone={toneOfSchema[newest.state]}>{newest.state.replace("_", " ")}</State>,
  },
  {
    head: "Breaks something",
    cell: ({ newest }) => (newest.compatible ? <Dash /> : <State tone="bad">yes</State>),
  },
  { head: "Compatibility", cell: ({ subject }) => subject.effective.replace("_", " ") },
  { head: "Versions", isNumber: true, cell: ({ versions }) => versions },
  { head: "Author", cell: ({ newest }) => newest.author },
  {
    head: "Changed",
    isNumber: true,
    cell: ({ newest }) => ago(serverNowMs() - Date.parse(newest.updatedAt)),
  },
];

function NoSchemas() {
  const body = { subject: "orders-value", schema: { type: "object", required: ["id"] } };
  return (
    <Empty title="There are no schemas yet">
      <p>
        A schema says what messages look like, and the registry what a change of it would break.{" "}
        <a href={href("schemas", "new")}>Register one here</a>, or by:
      </p>
      <TwinPanel twin={{ cli: undefined, curl: curl("POST", "/api/v1/schemas", body) }} />
    </Empty>
  );
}
