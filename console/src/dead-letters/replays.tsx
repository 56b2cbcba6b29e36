/** Replays of a topic's dead letters: how far each is, and a way to stop it. */
import type { Replay } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { ago, exact } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

const shownMax = 10;

export function Replays({ topic }: { topic: string }) {
  const { answer, error, refresh } = useLive(
    (signal) => hotswap().deadLetters.replays(topic, { limit: shownMax, signal }),
    { intervalMs: 1000 },
  );
  const cancel = useAction();
  const all = answer.value?.items ?? [];
  const stopColumn: Column<Replay> = {
    head: "Stop",
    isHeadHidden: true,
    cell: ({ id, status }) =>
      status === "running" && (
        <button
          type="button"
          class="button small"
          disabled={cancel.isBusy.value}
          onClick={async () => {
            await cancel.run(() => hotswap().deadLetters.cancel(topic, id));
            await refresh();
          }}
        >
          Stop
        </button>
      ),
  };
  return (
    <>
      <ProblemPanel error={error.value ?? cancel.error.value} />
      {all.length > 0 && (
        <Table title="Replays" rows={all} columns={[...columns, stopColumn]} keyOf={({ id }) => id} />
      )}
    </>
  );
}

const tones: Record<Replay["status"], Tone> = {
  running: "warn",
  done: "good",
  cancelled: "plain",
  failed: "bad",
};

const columns: readonly Column<Replay>[] = [
  {
    head: "Begun",
    cell: ({ createdAt }) => ago(serverNowMs() - Date.parse(createdAt)),
    note: ({ createdBy }) => createdBy,
  },
  { head: "What", cell: ({ action }) => action },
  {
    head: "Status",
    cell: ({ status, error }) => (
      <>
        <State tone={tones[status]}>{status}</State> {error}
      </>
    ),
  },
  {
    head: "Progress",
    class: "meter-cell",
    cell: ({ processed, matched }) => (
      <progress value={processed} max={Math.max(1, matched)} aria-label="Dealt with so far" />
    ),
  },
  {
    head: "Done",
    isNumber: true,
    cell: ({ processed, matched }) => `${exact(processed)} of ${exact(matched)}`,
  },
  { head: "Left over", isNumber: true, cell: ({ failed }) => exact(failed) },
  { head: "Rate", isNumber: true, cell: ({ ratePerSecond }) => (ratePerSecond ? `${ratePerSecond}/s` : "–") },
];
