/** Everybody who takes configurations. */
import { Page } from "../parts/page.tsx";
import { SearchBox } from "../parts/search.tsx";
import { InstancesTable } from "./instances-table.tsx";

export function InstancesPage() {
  return (
    <Page title="Instances" actions={<SearchBox label="Search instances" />}>
      <InstancesTable />
    </Page>
  );
}
