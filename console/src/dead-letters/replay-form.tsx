/** Replays or discards the dead letters that are selected, after it was said how many and which they are. */
import { type Signal, useSignal } from "@preact/signals";
import type { DeadLetterFilter, NewReplay, Replay } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { plural } from "../format.ts";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { hotswap } from "../session.ts";
import { selectionFlags } from "./selection.ts";

const actions = [
  ["replay", "replay: deliver again to the subscription that failed"],
  ["discard", "discard: dealt with, without delivery"],
] as const;

interface ReplayFormProps {
  topic: string;
  selection: DeadLetterFilter;
  total: number;
  /** Single ones that were ticked; none means all that fit the selection. */
  ticked: Signal<ReadonlySet<string>>;
  onBegun(): Promise<void>;
}

export function ReplayForm({ topic, selection, total, ticked, onBegun }: ReplayFormProps) {
  const action = useSignal<"replay" | "discard">("replay");
  const rate = useSignal("");
  const tried = useSignal<{ of: string; replay: Replay } | undefined>(undefined);
  const { isBusy, error, run } = useAction();
  const perSecond = Number.parseInt(rate.value, 10);
  const request: NewReplay = {
    ...selection,
    ...(action.value !== "replay" && { action: action.value }),
    ...(ticked.value.size > 0 && { messageIds: [...ticked.value] }),
    ...(perSecond > 0 && { ratePerSecond: perSecond }),
  };
  const asked = JSON.stringify(request);
  const trial = tried.value?.of === asked ? tried.value.replay : undefined;
  const count = ticked.value.size || total;
  const verb = action.value === "replay" ? "Replay" : "Discard";
  const begin = (dryRun: boolean) =>
    run(async () => {
      const replay = await hotswap().deadLetters.replay(topic, request, { dryRun });
      if (dryRun) tried.value = { of: asked, replay };
      else {
        ticked.value = new Set();
        tried.value = undefined;
        await onBegun();
      }
    });
  return (
    <form
      class="panel"
      onSubmit={(event) => {
        event.preventDefault();
        void begin(false);
      }}
    >
      <h2>
        What becomes of {ticked.value.size > 0 ? "the ticked ones" : `all ${plural(count, "message")} above`}
      </h2>
      <div class="toolbar">
        <Field id="replay-action" label="Do">
          <Select
            id="replay-action"
            value={action.value}
            options={actions}
            onChange={(value) => {
              action.value = value;
            }}
          />
        </Field>
        <Field id="replay-rate" label="At most, per second">
          <input
            id="replay-rate"
            type="number"
            min={1}
            max={100_000}
            placeholder="no limit"
            value={rate.value}
            onInput={(event) => {
              rate.value = event.currentTarget.value;
            }}
          />
        </Field>
      </div>
      <ProblemPanel error={error.value} />
      <p role="status">
        {trial &&
          `${plural(trial.matched, "message")} would go; the first is ${trial.sample?.[0] ?? "none"}.`}
      </p>
      <footer>
        <button type="button" class="button" disabled={isBusy.value} onClick={() => void begin(true)}>
          Try
        </button>
        <button
          type="submit"
          class={`button ${action.value === "discard" ? "danger" : "primary"}`}
          disabled={isBusy.value || (action.value === "discard" && trial === undefined)}
        >
          {verb} {plural(trial?.matched ?? count, "message")}
        </button>
      </footer>
      <TwinPanel
        twin={{
          cli: replaying(topic, selection, request),
          curl: curl("POST", `/api/v1/topics/${encodeURIComponent(topic)}/dlq/replay`, request),
        }}
      />
    </form>
  );
}

function replaying(topic: string, selection: DeadLetterFilter, request: NewReplay): string {
  const { action, messageIds = [], ratePerSecond } = request;
  const options = [
    action === "discard" && " --discard",
    ratePerSecond !== undefined && ` --rate ${ratePerSecond}`,
    messageIds.length > 0 && ` --id ${messageIds.join(" ")}`,
  ];
  return `hotswap dlq replay ${shellWord(topic)}${selectionFlags(selection)}${options.filter(Boolean).join("")}`;
}
