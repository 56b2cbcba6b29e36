/** Versions of a configuration, and what differs between two of them. */
import { useSignal } from "@preact/signals";
import type { Config, ConfigDiff, ConfigVersionSummary } from "../../../client/src/index.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty } from "../parts/tile.tsx";
import { Command, curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { Changes } from "./changes.tsx";
import { Trials } from "./trials.tsx";

export function Versions({ config: { name, currentVersion } }: { config: Config }) {
  const compared = useSignal<number | undefined>(undefined);
  const tried = useSignal<number | undefined>(undefined);
  const { answer, error } = useLive(
    async (signal) => {
      const { items } = await hotswap().configs.versions(name, { limit: 100, signal });
      const version = compared.value;
      const base = items.find((one) => one.version === version)?.parent ?? currentVersion;
      const isComparable = version !== undefined && base !== null && base !== undefined && base !== version;
      const diff = isComparable ? await hotswap().configs.diff(name, base, version, { signal }) : undefined;
      return { items, diff };
    },
    { watch: () => compared.value },
  );
  const { items, diff } = answer.value ?? {};
  const columns: readonly Column<ConfigVersionSummary>[] = [
    { head: "Version", cell: ({ version }) => version, note: ({ note }) => note },
    {
      head: "State",
      cell: ({ current }) => (current ? <State tone="good">in force</State> : <span class="muted">–</span>),
    },
    { head: "Author", cell: ({ author }) => author },
    { head: "Hash", cell: ({ hash }) => <code>{hash.slice(0, 12)}</code> },
    { head: "Made", isNumber: true, cell: ({ createdAt }) => ago(serverNowMs() - Date.parse(createdAt)) },
    {
      head: "Look closer",
      isHeadHidden: true,
      class: "wide",
      cell: ({ version, parent }) => (
        <span class="actions">
          <button
            type="button"
            class="button small"
            disabled={parent === null && (currentVersion === null || currentVersion === version)}
            aria-pressed={compared.value === version}
            onClick={() => {
              compared.value = version;
            }}
          >
            What changed
          </button>
          <button
            type="button"
            class="button small"
            aria-pressed={tried.value === version}
            onClick={() => {
              tried.value = version;
            }}
          >
            Would it be taken?
          </button>
        </span>
      ),
    },
  ];
  return (
    <>
      <ProblemPanel error={error.value} />
      {items?.length === 0 && (
        <Empty title="There is no version yet">
          <p>
            <a href={href("configs", name, "edit")}>Write the first one</a>, or bring a file:
          </p>
          <Command text={`hotswap config put ${shellWord(name)} FILE`} />
        </Empty>
      )}
      {items && items.length > 0 && (
        <Table rows={items} columns={columns} keyOf={({ version }) => `${version}`} />
      )}
      {diff && <Difference diff={diff} />}
      {tried.value !== undefined && <Trials name={name} version={tried.value} />}
      <TwinPanel
        twin={{
          cli: `hotswap config versions ${shellWord(name)}`,
          curl: curl("GET", `/api/v1/configs/${name}/versions`),
        }}
      />
    </>
  );
}

function Difference({ diff: { from, to, changes } }: { diff: ConfigDiff }) {
  return (
    <section class="panel" aria-live="polite">
      <h2>
        From version {from} to {to}
      </h2>
      <Changes all={changes} />
    </section>
  );
}
