/** Why messages of a subscription are not with consumers, and who the consumers are. */
import type { Subscription, SubscriptionExplanation } from "../../../client/src/index.ts";
import { ago, exact } from "../format.ts";
import { serverNowMs } from "../overview/live.ts";
import { ProblemPanel } from "../parts/problem.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { Empty, Tile, Tiles } from "../parts/tile.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";

type Reason = SubscriptionExplanation["reasons"][number];
type Consumer = SubscriptionExplanation["consumers"][number];

export function SubscriptionExplanationPanel({ subscription }: { subscription: Subscription }) {
  const { id, topic, name } = subscription;
  const { answer, error } = useLive((signal) => hotswap().subscriptions.explain(id, { signal }));
  const found = answer.value;
  return (
    <>
      <ProblemPanel error={error.value} />
      {found && (
        <>
          <Tiles>
            <Tile label="Not done" value={exact(found.depth)} />
            <Tile label="With consumers" value={exact(found.inFlight)} />
            <Tile label="Lag: not delivered yet" value={exact(found.depth - found.inFlight)} />
            <Tile label="Consumers there" value={exact(found.consumers.filter(isThere).length)} />
          </Tiles>
          <Webhook id={id} push={found.push} />
          {found.reasons.length > 0 && (
            <Table
              title="What keeps messages back"
              rows={found.reasons}
              columns={reasonColumns}
              keyOf={({ code, detail }) => `${code} ${detail}`}
            />
          )}
          {found.consumers.length > 0 ? (
            <Table
              title="Consumers"
              rows={found.consumers}
              columns={consumerColumns}
              keyOf={({ name: who, via }) => `${via} ${who}`}
            />
          ) : (
            <Empty title="Nobody has consumed lately">
              <p>Who receives is known by its name, for five minutes after it was last heard of.</p>
            </Empty>
          )}
        </>
      )}
      <TwinPanel
        twin={{
          cli: `hotswap subscription explain ${shellWord(topic)} ${shellWord(name)}`,
          curl: curl("GET", `/api/v1/subscriptions/${id}/explain`),
        }}
      />
    </>
  );
}

const isThere = ({ state }: Consumer) => state === "active" || state === "standby";

function Webhook({ id, push }: { id: string; push: SubscriptionExplanation["push"] }) {
  if (!push || push.status === "active") return null;
  return (
    <section class="panel">
      <p>
        <State tone="warn">webhook {push.status}</State> {push.reason}{" "}
        <a href={href("subscriptions", id, "webhook")}>See the webhook</a>
      </p>
    </section>
  );
}

const reasonColumns: readonly Column<Reason>[] = [
  { head: "Because", cell: ({ code }) => code.replaceAll("-", " ") },
  { head: "Messages", isNumber: true, cell: ({ messages }) => exact(messages) },
  { head: "What it means", class: "wide", cell: ({ detail }) => detail },
];

const consumerTones: Record<Consumer["state"], Tone> = {
  active: "good",
  standby: "plain",
  stalled: "bad",
  gone: "plain",
};

const consumerColumns: readonly Column<Consumer>[] = [
  {
    head: "Consumer",
    cell: ({ name }) => name,
    note: ({ state }) => state === "stalled" && "its leases run out, and it settles nothing",
  },
  { head: "By", cell: ({ via }) => via },
  { head: "State", cell: ({ state }) => <State tone={consumerTones[state]}>{state}</State> },
  { head: "Priority", isNumber: true, cell: ({ priority }) => priority },
  { head: "In flight", isNumber: true, cell: ({ inFlight }) => exact(inFlight) },
  { head: "Delivered", isNumber: true, cell: ({ delivered }) => exact(delivered) },
  { head: "Acknowledged", isNumber: true, cell: ({ acked }) => exact(acked) },
  {
    head: "Last heard of",
    isNumber: true,
    cell: ({ lastSeen }) => ago(serverNowMs() - Date.parse(lastSeen)),
  },
];
