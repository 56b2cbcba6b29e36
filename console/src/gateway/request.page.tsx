/** Why a request went the way it went: routes, backends, attempts, limits. */
import type { ExplainedRequest } from "../../../client/src/index.ts";
import { ago, bytes, duration } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { CopyButton } from "../parts/copy.tsx";
import { number } from "../parts/number.tsx";
import { Page, Traits } from "../parts/page.tsx";
import { Rows } from "../parts/rows.tsx";
import { State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Trace } from "../parts/trace.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { toneOfStatus } from "./requests.page.tsx";

export function RequestPage({ id }: { id: string }) {
  const { answer, error } = useLive((signal) => hotswap().gateway.explain(id, { signal }), {
    intervalMs: 5000,
  });
  const request = answer.value;
  return (
    <Page
      title={request ? `${request.method} ${request.path}` : "Request"}
      within={["Requests", "requests"]}
      isBusy={request === undefined}
      error={error.value}
      lead={
        request && (
          <Traits
            all={[
              <State key="status" tone={toneOfStatus(request.status)}>
                {request.status === 0 ? "no answer" : request.status}
              </State>,
              request.host,
              ago(serverNowMs() - Date.parse(request.at)),
            ]}
          />
        )
      }
    >
      {request && (
        <>
          {request.flags.map(({ flag, meaning }) => (
            <p key={flag}>
              <State tone="warn">{flag}</State> {meaning}
            </p>
          ))}
          {request.code !== null && (
            <p>
              Answered with <code>{request.code}</code>
            </p>
          )}
          <div class="columns">
            <Attempts request={request} />
            <Facts request={request} />
          </div>
          {request.considered.length > 0 && (
            <Table
              title="Routes that were looked at, in this order"
              rows={request.considered}
              columns={consideredColumns}
              keyOf={({ route }) => route}
            />
          )}
          {request.candidates.length > 0 && (
            <Table
              title="Backends to choose from, as they were then"
              rows={request.candidates}
              columns={candidateColumns}
              keyOf={({ backend }) => backend}
            />
          )}
          {request.backendsNow.length > 0 && (
            <Table
              title="Backends as they are now"
              rows={request.backendsNow}
              columns={nowColumns}
              keyOf={({ backend }) => backend}
            />
          )}
          <TwinPanel
            twin={{
              cli: `hotswap gateway explain ${shellWord(id)}`,
              curl: curl("GET", `/api/v1/gateway/requests/${encodeURIComponent(id)}`),
            }}
          />
        </>
      )}
    </Page>
  );
}

function Facts({ request }: { request: ExplainedRequest }) {
  const { id, client, subject, protocol, route, variant, totalMs, decidedMs, traceId, rateLimits } = request;
  return (
    <section class="panel">
      <h2>About it</h2>
      <Rows
        all={[
          [
            "Request id",
            <>
              <code>{id}</code>
              <CopyButton text={id} label="the request id" />
            </>,
          ],
          ["Route", route ?? <span class="muted">none</span>],
          ["Variant", variant],
          ["Took", duration(totalMs)],
          ["Until the route was known", duration(decidedMs)],
          ["Client", `${client}, ${protocol}`],
          ["Subject", subject],
          ["Received, sent", `${bytes(request.requestBytes)}, ${bytes(request.responseBytes)}`],
          ...rateLimits.map(
            ({ name, burst, perSecond, per }) =>
              [`Limit ${name}`, `${burst} at once, ${perSecond}/s per ${per}`] as const,
          ),
          ["Trace", <Trace key="trace" id={traceId} />],
          ["Worker, revision", `${request.worker}, ${request.revision}`],
        ]}
      />
    </section>
  );
}

/** Each attempt as a bar over the request's time: connecting, waiting for the first byte, receiving. */
function Attempts({ request: { attempts, totalMs } }: { request: ExplainedRequest }) {
  const scale = 100 / Math.max(totalMs, 0.001);
  return (
    <section class="panel">
      <h2>Attempts</h2>
      {attempts.length === 0 && <p class="muted">None: the gateway answered by itself.</p>}
      <ol class="attempts">
        {attempts.map(({ url, address, startMs, connectMs, firstByteMs, endMs, status, flag, problem }) => (
          <li key={startMs}>
            <p>
              <b>{url ?? address}</b> {status !== null && <State tone={toneOfStatus(status)}>{status}</State>}
              {flag && <State tone="warn">{flag}</State>}
            </p>
            <svg class="attempt" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect
                class="attempt-wait"
                x={startMs * scale}
                width={Math.max(0.5, (endMs - startMs) * scale)}
                height="8"
              />
              {firstByteMs !== null && (
                <rect
                  class="attempt-body"
                  x={firstByteMs * scale}
                  width={Math.max(0.5, (endMs - firstByteMs) * scale)}
                  height="8"
                />
              )}
            </svg>
            <p class="muted">
              began after {duration(startMs)}
              {connectMs !== null && `, connected in ${duration(connectMs)}`}
              {firstByteMs !== null && `, first byte after ${duration(firstByteMs)}`}, ended after{" "}
              {duration(endMs)}
              {problem !== null && `: ${problem}`}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}

const consideredColumns: readonly Column<ExplainedRequest["considered"][number]>[] = [
  { head: "Route", cell: ({ route }) => route },
  {
    head: "Chosen",
    cell: ({ chosen }) => (chosen ? <State tone="good">chosen</State> : <State tone="plain">not</State>),
  },
  { head: "Why", class: "wide", cell: ({ reason }) => reason },
];

const candidateColumns: readonly Column<ExplainedRequest["candidates"][number]>[] = [
  { head: "Backend", cell: ({ url, backend }) => url ?? backend },
  {
    head: "Usable",
    cell: ({ usable }) => (usable ? <State tone="good">yes</State> : <State tone="bad">no</State>),
  },
  { head: "Why", class: "wide", cell: ({ reason }) => reason ?? <span class="muted">–</span> },
  { head: "Weight", isNumber: true, cell: ({ weight }) => weight },
  { head: "In flight", isNumber: true, cell: ({ inFlight }) => number(inFlight, String) },
];

const nowColumns: readonly Column<ExplainedRequest["backendsNow"][number]>[] = [
  { head: "Backend", cell: ({ url, backend }) => url ?? backend, note: ({ lastProblem }) => lastProblem },
  {
    head: "Health",
    cell: ({ healthy, ejected }) => (
      <State tone={healthy && !ejected ? "good" : "bad"}>
        {healthy ? (ejected ? "ejected" : "healthy") : "unhealthy"}
      </State>
    ),
  },
  { head: "Breaker", cell: ({ breaker }) => breaker },
  { head: "In flight", isNumber: true, cell: ({ inFlight }) => inFlight },
];
