/** Deploys a version: how fast, and what it would do is shown before. */
import { useSignal } from "@preact/signals";
import type { Config, Deployment, DeploymentStrategy, NewDeployment } from "../../../client/src/index.ts";
import { useAction } from "../action.ts";
import { Plan } from "../deployments/plan.tsx";
import { Field, Select } from "../parts/field.tsx";
import { ProblemPanel } from "../parts/problem.tsx";
import { curl, shellWord, TwinPanel } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";

const strategies = [
  ["canary", "canary: a few first, more when they do well"],
  ["rolling", "rolling: batch after batch"],
  ["direct", "direct: all, after one has tried it"],
  ["blue-green", "blue-green: prepared, then switched at once"],
  ["emergency", "emergency: a canary in seconds"],
] as const satisfies readonly (readonly [DeploymentStrategy, string])[];

const seconds = (strategy: DeploymentStrategy) => (strategy === "canary" ? "60" : "0");

export function DeployForm({ config: { name, latestVersion, currentVersion } }: { config: Config }) {
  const version = useSignal(`${latestVersion ?? ""}`);
  const strategy = useSignal<DeploymentStrategy>("canary");
  const bake = useSignal("60");
  const note = useSignal("");
  const tried = useSignal<{ of: string; plan: Deployment } | undefined>(undefined);
  const { isBusy, error, run } = useAction();
  const body: NewDeployment = {
    ...{ kind: "config", config: name, version: Number(version.value), strategy: strategy.value },
    ...(bake.value !== "" && { bakeSeconds: Number(bake.value) }),
    ...(note.value.trim() !== "" && { note: note.value.trim() }),
  };
  const asked = JSON.stringify(body);
  const isReady =
    Number.isInteger(body.version) && Number(body.version) > 0 && Number.isFinite(body.bakeSeconds ?? 0);
  const plan = tried.value?.of === asked ? tried.value.plan : undefined;
  const attempt = () =>
    run(async () => {
      tried.value = { of: asked, plan: await hotswap().deployments.create(body, { dryRun: true }) };
    });
  const deploy = () =>
    run(async () => {
      const { id } = await hotswap().deployments.create(body);
      go("deployments", id);
    });
  const text = (id: string, label: string, value: typeof version, hint: string) => (
    <Field id={id} label={label} hint={hint}>
      <input
        id={id}
        value={value.value}
        autocomplete="off"
        aria-describedby={`${id}-hint`}
        onInput={(event) => {
          value.value = event.currentTarget.value;
        }}
      />
    </Field>
  );
  const flags = `--version ${version.value || "1"} --strategy ${strategy.value} --bake ${bake.value || "0"}s`;
  return (
    <div class="columns">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          void deploy();
        }}
      >
        {text(
          "deploy-version",
          "Version",
          version,
          currentVersion === null ? "Nothing is in force yet." : `Version ${currentVersion} is in force.`,
        )}
        <Field id="deploy-strategy" label="Strategy">
          <Select
            id="deploy-strategy"
            value={strategy.value}
            options={strategies}
            onChange={(value) => {
              strategy.value = value;
              bake.value = seconds(value);
            }}
          />
        </Field>
        {text(
          "deploy-bake",
          "Watch each phase for, in seconds",
          bake,
          "While the judge compares both versions.",
        )}
        {text("deploy-note", "Note", note, "Optional: why it is deployed.")}
        <ProblemPanel error={error.value} />
        <footer>
          <button
            type="button"
            class="button"
            disabled={!isReady || isBusy.value}
            onClick={() => void attempt()}
          >
            Show the steps
          </button>
          <button type="submit" class="button primary" disabled={!isReady || isBusy.value}>
            Deploy
          </button>
        </footer>
      </form>
      <div>
        {plan && <Plan one={plan} />}
        <TwinPanel
          twin={{
            cli: `hotswap deploy config ${shellWord(name)} ${flags}`,
            curl: curl("POST", "/api/v1/deployments", body),
          }}
        />
      </div>
    </div>
  );
}
