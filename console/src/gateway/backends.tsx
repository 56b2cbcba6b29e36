/** Backends with their health and breaker, and what can be set on them by hand. */
import { useSignal } from "@preact/signals";
import type { BackendOverride, BreakerState, GatewayBackend } from "../../../client/src/index.ts";
import { exact, rate } from "../format.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Field, Select } from "../parts/field.tsx";
import { number } from "../parts/number.tsx";
import { State, type Tone } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import { seriesOfBackend } from "./live.ts";

export const toneOfBreaker: Record<BreakerState, Tone> = { closed: "good", "half-open": "warn", open: "bad" };

export function Backends({ all, onChange }: { all: readonly GatewayBackend[]; onChange(): Promise<void> }) {
  const chosen = useSignal<GatewayBackend | undefined>(undefined);
  const close = () => {
    chosen.value = undefined;
  };
  const columns: readonly Column<GatewayBackend>[] = [
    ...describing,
    {
      head: "Override",
      isHeadHidden: true,
      cell: (backend) => (
        <button
          type="button"
          class="button small"
          onClick={() => {
            chosen.value = backend;
          }}
        >
          Override…
        </button>
      ),
    },
  ];
  return (
    <>
      <Table title="Backends" rows={all} columns={columns} keyOf={({ id }) => id} />
      {chosen.value && (
        <Override
          backend={chosen.value}
          onDone={() => {
            close();
            void onChange();
          }}
          onClose={close}
        />
      )}
    </>
  );
}

function perSecond({ id }: GatewayBackend) {
  const series = seriesOfBackend(id);
  series.revision.value; // subscribes
  return series.latest("requests");
}

const describing: readonly Column<GatewayBackend>[] = [
  { head: "Backend", cell: ({ url }) => url, note: ({ lastProblem }) => lastProblem },
  {
    head: "Health",
    cell: ({ healthy, ejected }) =>
      !healthy ? (
        <State tone="bad">unhealthy</State>
      ) : ejected ? (
        <State tone="warn">ejected</State>
      ) : (
        <State tone="good">healthy</State>
      ),
  },
  { head: "Breaker", cell: ({ breaker }) => <State tone={toneOfBreaker[breaker]}>{breaker}</State> },
  {
    head: "Set by hand",
    cell: ({ override }) => {
      const set = [
        override && override.breaker !== "automatic" && `breaker ${override.breaker}`,
        override?.draining && "draining",
      ].filter(Boolean);
      return set.length > 0 ? <State tone="warn">{set.join(", ")}</State> : <span class="muted">–</span>;
    },
  },
  { head: "Requests", isNumber: true, cell: (backend) => number(perSecond(backend), rate, "/s") },
  { head: "In flight", isNumber: true, cell: ({ inFlight }) => exact(inFlight) },
  { head: "Connections", isNumber: true, cell: ({ connections }) => exact(connections) },
  { head: "Failures", isNumber: true, cell: ({ failures }) => exact(failures) },
];

const breakerChoices = [
  ["automatic", "automatic: by its failures"],
  ["open", "open: nothing gets through"],
  ["closed", "closed: everything gets through"],
] as const;
const durations = [
  ["0", "until it is taken back"],
  ["900", "15 minutes"],
  ["3600", "an hour"],
  ["86400", "a day"],
] as const;

interface OverrideProps {
  backend: GatewayBackend;
  onDone(): void;
  onClose(): void;
}

function Override({ backend, onDone, onClose }: OverrideProps) {
  const breaker = useSignal(backend.override?.breaker ?? "automatic");
  const isDraining = useSignal(backend.override?.draining ?? false);
  const lasts = useSignal<(typeof durations)[number][0]>("0");
  const reason = useSignal("");
  const override: BackendOverride = {
    ...(breaker.value !== "automatic" && { breaker: breaker.value }),
    ...(isDraining.value && { draining: true }),
  };
  const isSet = Object.keys(override).length > 0;
  if (isSet && lasts.value !== "0") override.ttlSeconds = Number(lasts.value);
  if (isSet && reason.value.trim()) override.reason = reason.value.trim();
  return (
    <Confirm
      title={`Override ${backend.url}`}
      verb={isSet ? "Set" : "Leave it to the gateway"}
      isDanger={breaker.value === "open"}
      twin={{
        cli: overriding(backend.url, override),
        curl: curl("POST", `/api/v1/gateway/backends/${backend.id}/override`, override),
      }}
      work={() => hotswap().gateway.overrideBackend(backend.id, override)}
      onDone={onDone}
      onClose={onClose}
    >
      <p>Holds on every node, for the routes {backend.routes.join(", ")}.</p>
      <Field id="override-breaker" label="Breaker">
        <Select
          id="override-breaker"
          value={breaker.value}
          options={breakerChoices}
          onChange={(value) => {
            breaker.value = value;
          }}
        />
      </Field>
      <label class="tick">
        <input
          type="checkbox"
          checked={isDraining.value}
          onChange={(event) => {
            isDraining.value = event.currentTarget.checked;
          }}
        />
        Drain it: no new requests
      </label>
      <Field id="override-lasts" label="For how long">
        <Select
          id="override-lasts"
          value={lasts.value}
          options={durations}
          onChange={(value) => {
            lasts.value = value;
          }}
        />
      </Field>
      <Field id="override-reason" label="Reason" hint="Optional; kept in the audit.">
        <input
          id="override-reason"
          value={reason.value}
          autocomplete="off"
          aria-describedby="override-reason-hint"
          onInput={(event) => {
            reason.value = event.currentTarget.value;
          }}
        />
      </Field>
    </Confirm>
  );
}

function overriding(url: string, { breaker, draining, ttlSeconds, reason }: BackendOverride): string {
  const options = [
    breaker && `--breaker ${breaker}`,
    draining && "--drain",
    ttlSeconds !== undefined && `--for ${ttlSeconds}s`,
    reason !== undefined && `--reason ${shellWord(reason)}`,
  ];
  return ["hotswap gateway override", shellWord(url), ...options.filter(Boolean)].join(" ");
}
