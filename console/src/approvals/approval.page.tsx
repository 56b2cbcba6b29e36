/** One request for approval: exactly what would be agreed to, and the decision. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Approval } from "../../../client/src/index.ts";
import { ago, duration } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { Confirm } from "../parts/confirm.tsx";
import { CopyButton } from "../parts/copy.tsx";
import { Field } from "../parts/field.tsx";
import { Icon } from "../parts/icon.tsx";
import { JsonText } from "../parts/json.tsx";
import { Page } from "../parts/page.tsx";
import { State } from "../parts/state.tsx";
import { curl, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { contentHash } from "./content-hash.ts";
import { toneOfApproval } from "./tone.ts";

type Verdict = "approve" | "reject";

export function ApprovalPage({ id }: { id: string }) {
  const { answer, error, refresh } = useLive((signal) => hotswap().approvals.get(id, { signal }));
  const verdict = useSignal<Verdict | undefined>(undefined);
  const approval = answer.value;
  const decide = (choice: Verdict) => () => {
    verdict.value = choice;
  };
  return (
    <Page
      title={approval?.resource ?? "Request for approval"}
      within={["Approvals", "approvals"]}
      isBusy={approval === undefined}
      error={error.value}
      lead={approval?.summary && <p class="description">{approval.summary}</p>}
      actions={
        approval?.state === "pending" && (
          <>
            <button type="button" class="button" onClick={decide("reject")}>
              Reject
            </button>
            <button type="button" class="button primary" onClick={decide("approve")}>
              <Icon name="check" /> Approve
            </button>
          </>
        )
      }
    >
      {approval && (
        <div class="columns">
          <section class="panel">
            <h2>Exactly this</h2>
            <JsonText value={approval.content} />
          </section>
          <div>
            <Facts approval={approval} />
            <TwinPanel twin={{ cli: undefined, curl: curl("GET", `/api/v1/approvals/${id}`) }} />
          </div>
        </div>
      )}
      {approval && verdict.value && (
        <Decide
          approval={approval}
          verdict={verdict.value}
          onDone={() => {
            verdict.value = undefined;
            void refresh();
          }}
          onClose={() => {
            verdict.value = undefined;
          }}
        />
      )}
    </Page>
  );
}

function Facts({ approval }: { approval: Approval }) {
  const { kind, environment, state, author, requestedAt, expiresAt, decidedBy, decidedAt, reason } = approval;
  const leftMs = Date.parse(expiresAt) - serverNowMs();
  return (
    <section class="panel">
      <h2>About it</h2>
      <dl class="rows">
        <div>
          <dt>State</dt>
          <dd>
            <State tone={toneOfApproval[state]}>{state}</State>
          </dd>
        </div>
        <div>
          <dt>To do</dt>
          <dd>
            <code>{kind}</code>
          </dd>
        </div>
        {environment && (
          <div>
            <dt>Environment</dt>
            <dd>{environment}</dd>
          </div>
        )}
        <div>
          <dt>Asked by</dt>
          <dd>
            {author}, {ago(serverNowMs() - Date.parse(requestedAt))}
          </dd>
        </div>
        {state === "pending" && (
          <div>
            <dt>Expires</dt>
            <dd>{leftMs > 0 ? `in ${duration(leftMs)}` : "now"}</dd>
          </div>
        )}
        {decidedBy && decidedAt && (
          <div>
            <dt>Decided by</dt>
            <dd>
              {decidedBy}, {ago(serverNowMs() - Date.parse(decidedAt))}
            </dd>
          </div>
        )}
        {reason && (
          <div>
            <dt>Reason</dt>
            <dd>{reason}</dd>
          </div>
        )}
        <Hash approval={approval} />
      </dl>
    </section>
  );
}

function Hash({ approval: { content, contentHash: claimed } }: { approval: Approval }) {
  const own = useSignal<string | undefined>(undefined);
  const text = JSON.stringify(content);
  useEffect(() => {
    void contentHash(content).then((hash) => {
      own.value = hash;
    });
  }, [text]);
  return (
    <div>
      <dt>Hash</dt>
      <dd>
        <code>{claimed}</code>
        <CopyButton text={claimed} label="the hash" />
        {own.value === claimed && <State tone="good">fits what you see, computed in this browser</State>}
        {own.value !== undefined && own.value !== claimed && (
          <State tone="bad">does not fit what you see; do not approve</State>
        )}
      </dd>
    </div>
  );
}

interface DecideProps {
  approval: Approval;
  verdict: Verdict;
  onDone(): void;
  onClose(): void;
}

function Decide({ approval, verdict, onDone, onClose }: DecideProps) {
  const reason = useSignal("");
  const { id, resource, kind, contentHash: hash } = approval;
  const isRejection = verdict === "reject";
  const said = reason.value.trim();
  const work = () =>
    isRejection ? hotswap().approvals.reject(id, said) : hotswap().approvals.approve(id, said || undefined);
  return (
    <Confirm
      title={`${isRejection ? "Reject" : "Approve"} ${resource}`}
      verb={isRejection ? "Reject" : "Approve"}
      isDanger={isRejection}
      isReady={!isRejection || said !== ""}
      twin={{
        cli: undefined,
        curl: curl("POST", `/api/v1/approvals/${id}/${verdict}`, said ? { reason: said } : {}),
      }}
      work={work}
      onDone={onDone}
      onClose={onClose}
    >
      <p>
        {isRejection
          ? "The author is told why, and may ask again."
          : "This agrees to exactly one content. Any change of it makes the approval void."}
      </p>
      <p class="muted">
        <code>{kind}</code> · <code>{hash.slice(0, 16)}…</code>
      </p>
      <Field
        id="decision-reason"
        label="Reason"
        hint={isRejection ? "What must change." : "Optional; kept in the audit."}
      >
        <textarea
          id="decision-reason"
          rows={3}
          aria-describedby="decision-reason-hint"
          value={reason.value}
          onInput={(event) => {
            reason.value = event.currentTarget.value;
          }}
        />
      </Field>
    </Confirm>
  );
}
