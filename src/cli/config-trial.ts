/** `hotswap config try …`: what live instances say of a version, or of a draft, before anybody runs it. */
import { styleText } from "node:util";
import type { Command } from "commander";
import type { HotSwap, Trial } from "../../client/src/index.ts";
import { INTEGER_MAX } from "../core/bounds.ts";
import { systemClock } from "../core/clock.ts";
import { integer } from "../platform/settings/kind.ts";
import { type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean; version?: number; instances?: number };

const pauseMs = 500;
const pause = () =>
  new Promise<void>((resolve) => void systemClock.after(pauseMs, resolve, { keepAlive: true }));

export function addConfigTrial(add: (signature: string, description: string) => Command): void {
  add("try <name>", "ask live instances whether they would take your draft, or a version; they apply nothing")
    .option("--version <number>", "this version instead of your draft", read(integer(1, INTEGER_MAX)))
    .option("--instances <number>", "how many are asked", read(integer(1, 100)))
    .addHelpText("after", "\nEnds with 1 when one of them would refuse it.")
    .action((name: string, flags: Flags) =>
      useServer(flags, async (client) => {
        const trial = await answered(client, name, await begin(client, name, flags));
        if (flags.json) printJson(trial);
        else process.stdout.write(textOf(trial));
        if (trial.rejected > 0) process.exitCode = 1;
      }),
    );
}

function begin({ instances: live }: HotSwap, name: string, { version, instances }: Flags): Promise<Trial> {
  const options = instances === undefined ? {} : { instances };
  if (version === undefined) return live.beginDraftTrial(name, options);
  return live.beginTrial(name, version, options);
}

/** By all that were asked, or as many as there are when its time is over. */
async function answered({ instances }: HotSwap, name: string, begun: Trial): Promise<Trial> {
  for (let trial = begun; ; await pause()) {
    const { items } =
      trial.version === null
        ? await instances.draftTrials(name)
        : await instances.trials(name, trial.version);
    trial = items.find(({ id }) => id === begun.id) ?? trial;
    if (trial.status !== "asking") return trial;
  }
}

function textOf({ asked, accepted, rejected, answers, silent }: Trial): string {
  const lines = answers.map(({ instanceId, ok, reason }) =>
    ok
      ? `${styleText("green", "✔")} ${instanceId}\n`
      : `${styleText("red", "✘")} ${instanceId}: ${reason || "no reason was given"}\n`,
  );
  const unheard = silent.map((instanceId) => `${styleText("yellow", "?")} ${instanceId} said nothing\n`);
  const counts = `${asked} asked: ${accepted} would take it, ${rejected} would not, ${silent.length} silent\n`;
  return [...lines, ...unheard, counts].join("");
}
