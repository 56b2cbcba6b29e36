/** One deployment: how far it is, how both versions do beside each other, what happened, and what can be done. */
import { useSignal } from "@preact/signals";
import type { Deployment, DeploymentEvent, DeploymentHealth } from "../../../client/src/index.ts";
import { ago } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Page, Traits } from "../parts/page.tsx";
import { State } from "../parts/state.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { type Live, useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { Cohorts } from "./cohorts.tsx";
import { DeploymentActions, type Verb } from "./deployment-actions.tsx";
import { Plan } from "./plan.tsx";
import { percent, toneOfDeployment, wordOf } from "./text.ts";
import { Timeline } from "./timeline.tsx";

interface Known {
  deployment: Deployment;
  events: readonly DeploymentEvent[];
  health: readonly DeploymentHealth[];
}

/** As many as the charts draw, with room for several in a second. */
const samplesMax = 1_000;

export function DeploymentPage({ id }: { id: string }) {
  const verb = useSignal<Verb | undefined>(undefined);
  const live: Live<Known> = useLive(
    async (signal) => {
      const before = live.answer.peek()?.health ?? [];
      const after = before.at(-1)?.number;
      const [deployment, events, health] = await Promise.all([
        hotswap().deployments.get(id, { signal }),
        hotswap().deployments.pastEvents(id, { signal }),
        hotswap().deployments.health(
          id,
          after === undefined ? { last: samplesMax, signal } : { after, signal },
        ),
      ]);
      return { deployment, events, health: [...before, ...health].slice(-samplesMax) };
    },
    { intervalMs: 1000 },
  );
  const { answer, error, refresh } = live;
  const known = answer.value;
  const one = known?.deployment;
  return (
    <Page
      title={one?.summary ?? "Deployment"}
      within={["Deployments", "deployments"]}
      isBusy={one === undefined}
      error={error.value}
      lead={one && <Lead one={one} />}
      actions={one && one.endedAt === null && <DeploymentActions one={one} verb={verb} onDone={refresh} />}
    >
      {known && one && (
        <>
          <Share one={one} />
          <Cohorts deployment={one} health={known.health} />
          <div class="columns">
            <Timeline events={known.events} plan={one.plan} />
            <Plan one={one} />
          </div>
          <TwinPanel
            twin={{ cli: `hotswap deployment watch ${id}`, curl: curl("GET", `/api/v1/deployments/${id}`) }}
          />
        </>
      )}
    </Page>
  );
}

function Lead({ one }: { one: Deployment }) {
  const thing = one.kind === "route" ? ["routes", one.target] : ["configs", one.target];
  return (
    <>
      <Traits
        all={[
          <State key="status" tone={toneOfDeployment[one.status]}>
            {wordOf(one.status)}
          </State>,
          one.strategy,
          one.environment,
          <a key="thing" href={href(...thing)}>
            the {one.kind === "config" ? "configuration" : one.kind}
          </a>,
          `by ${one.createdBy}, ${ago(serverNowMs() - Date.parse(one.createdAt))}`,
        ]}
      />
      {one.note && <p class="description">{one.note}</p>}
    </>
  );
}

/** How many have the new version, drawn, and why it goes no further. */
function Share({ one }: { one: Deployment }) {
  const { progress } = one;
  const units = progress && progress.units > 0 ? `, ${progress.applied} of ${progress.units} run it` : "";
  return (
    <section class="panel" aria-live="polite">
      <h2>
        {percent(one.share)} have version {one.version.id.slice(0, 12)}
        <span class="muted">{units}</span>
      </h2>
      <progress max={100} value={one.share} aria-label="Share of the new version" />
      {one.holds.map(({ reason, detail }) => (
        <p key={reason}>
          <State tone="warn">{reason}</State> {detail}
          {reason === "approval" && one.approvalId && (
            <>
              {" "}
              <a href={href("approvals", one.approvalId)}>See the request</a>
            </>
          )}
        </p>
      ))}
      {one.rollback && (
        <p>
          <State tone="bad">{one.rollback.cause}</State> {one.rollback.reason}
        </p>
      )}
      {one.trouble && (
        <p>
          <State tone="warn">trouble</State> {one.trouble.message}
        </p>
      )}
      {progress && progress.failures.length > 0 && (
        <ul>
          {progress.failures.map(({ unit, reason }) => (
            <li key={unit}>
              <code>{unit}</code> {reason}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
