/** What live instances say of a draft or a version that they do not run, and asking them. */
import type { Trial } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { State } from "../parts/state.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";

/** Without a version: of the reader's own draft, which can be asked about when it is `isReady`. */
export function Trials({
  name,
  version,
  isReady = true,
}: {
  name: string;
  version?: number;
  isReady?: boolean;
}) {
  const { answer, error, refresh } = useLive(
    async (signal) => {
      const { instances } = hotswap();
      const { items } =
        version === undefined
          ? await instances.draftTrials(name, { signal })
          : await instances.trials(name, version, { signal });
      return items;
    },
    { watch: () => version },
  );
  const asking = useAction();
  const ask = () =>
    asking.run(async () => {
      const { instances } = hotswap();
      await (version === undefined ? instances.beginDraftTrial(name) : instances.beginTrial(name, version));
      await refresh();
    });
  const [latest, ...earlier] = answer.value ?? [];
  return (
    <section class="panel trials" aria-live="polite">
      <h2>
        {version === undefined
          ? "What instances say of the draft"
          : `What instances say of version ${version}`}
      </h2>
      {latest ? (
        <Answers trial={latest} />
      ) : (
        <p class="muted">A sample of the live instances checks it and applies nothing.</p>
      )}
      {earlier.length > 0 && <p class="muted">{earlier.length} earlier trials.</p>}
      <ProblemPanel error={asking.error.value ?? error.value} />
      <footer>
        <button
          type="button"
          class="button"
          disabled={!isReady || asking.isBusy.value || latest?.status === "asking"}
          onClick={() => void ask()}
        >
          Ask live instances
        </button>
      </footer>
    </section>
  );
}

function Answers({
  trial: { status, asked, accepted, rejected, answers, silent, draft, by, at },
}: {
  trial: Trial;
}) {
  const tone = rejected > 0 ? "bad" : status === "done" ? "good" : "plain";
  const words =
    rejected > 0 ? `${rejected} of ${asked} would refuse it` : `${accepted} of ${asked} would take it`;
  return (
    <>
      <p>
        <State tone={tone}>{words}</State>{" "}
        <span class="muted">
          {draft && `the draft of ${draft.author}, ${times(draft.revision)}; `}asked by {by},{" "}
          {ago(serverNowMs() - Date.parse(at))}
        </span>
      </p>
      <ul>
        {answers.map(({ instanceId, ok, reason }) => (
          <li key={instanceId}>
            <code>{instanceId}</code> {ok ? "would take it" : `would refuse it: ${reason}`}
          </li>
        ))}
        {silent.map((instanceId) => (
          <li key={instanceId} class="muted">
            <code>{instanceId}</code> {status === "asking" ? "has not answered yet" : "said nothing"}
          </li>
        ))}
      </ul>
    </>
  );
}

const times = (count: number) => (count === 1 ? "saved once" : `saved ${count} times`);
