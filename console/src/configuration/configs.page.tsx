/** All configurations: whose they are, and which version is in force. */
import { useSignal } from "@preact/signals";
import type { Config } from "../../../client/src/index.ts";
import { plural } from "../format.ts";
import { Page } from "../parts/page.tsx";
import { fits, NothingFits, SearchBox } from "../parts/search.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { NewConfigDialog } from "./new-config.tsx";

export function ConfigsPage() {
  const isCreating = useSignal(false);
  const { answer, error } = useLive((signal) => hotswap().configs.list({ limit: 200, signal }));
  const all = answer.value?.items;
  const shown = all?.filter((one) => fits(one.name, one.service, one.environment, one.description)) ?? [];
  return (
    <Page
      title="Configurations"
      isBusy={all === undefined}
      error={error.value}
      lead={<p class="muted">{all && plural(all.length, "configuration")}</p>}
      actions={
        <>
          {all && all.length > 0 && <SearchBox label="Search configurations" />}
          <button
            type="button"
            class="button primary"
            onClick={() => {
              isCreating.value = true;
            }}
          >
            Create configuration
          </button>
        </>
      }
    >
      {all?.length === 0 && (
        <Empty title="There are no configurations yet">
          <p>
            A configuration belongs to a service in an environment; its versions are deployed to instances:
          </p>
          <Command text="hotswap config create checkout --service checkout --environment staging --format yaml" />
        </Empty>
      )}
      {shown.length > 0 && (
        <Table
          rows={shown}
          columns={columns}
          keyOf={({ name }) => name}
          to={({ name }) => ["configs", name]}
        />
      )}
      {all && all.length > 0 && shown.length === 0 && <NothingFits what="configuration" />}
      <TwinPanel twin={{ cli: "hotswap config list", curl: curl("GET", "/api/v1/configs") }} />
      {isCreating.value && (
        <NewConfigDialog
          onClose={() => {
            isCreating.value = false;
          }}
        />
      )}
    </Page>
  );
}

const none = <span class="muted">–</span>;

const columns: readonly Column<Config>[] = [
  { head: "Name", cell: ({ name }) => name, note: ({ description }) => description },
  { head: "Service", cell: ({ service }) => service },
  { head: "Environment", cell: ({ environment }) => environment },
  { head: "Format", cell: ({ format }) => format },
  { head: "Schema", cell: ({ schema }) => (schema ? schema.subject : none) },
  { head: "In force", isNumber: true, cell: ({ currentVersion }) => currentVersion ?? none },
  { head: "Newest", isNumber: true, cell: ({ latestVersion }) => latestVersion ?? none },
];
