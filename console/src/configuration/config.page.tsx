/** One configuration: its versions, an editor for the next one, who runs what, and its history. */
import type { Config } from "../../../client/src/index.ts";
import { Page, Tabs, Traits } from "../parts/page.tsx";
import { useLive } from "../poll.ts";
import { href } from "../route.ts";
import { hotswap } from "../session.ts";
import { ConfigEditor } from "./config-editor.tsx";
import { ConfigHistory } from "./config-history.tsx";
import { DeployForm } from "./deploy-form.tsx";
import { InstancesTable } from "./instances-table.tsx";
import { Versions } from "./versions.tsx";

const tabs = [
  ["", "Versions"],
  ["edit", "Edit"],
  ["deploy", "Deploy"],
  ["instances", "Instances"],
  ["history", "History"],
] as const;

export function ConfigPage({ name, tab = "" }: { name: string; tab: string | undefined }) {
  const { answer, error, refresh } = useLive<Config>((signal) => hotswap().configs.get(name, { signal }));
  const config = answer.value;
  return (
    <Page
      title={name}
      within={["Configurations", "configs"]}
      isBusy={config === undefined}
      error={error.value}
      lead={config && <Lead config={config} />}
    >
      {config && (
        <>
          <Tabs label="Parts of the configuration" base={["configs", name]} tabs={tabs} />
          {tab === "" && <Versions config={config} />}
          {tab === "edit" && <ConfigEditor config={config} onSaved={refresh} />}
          {tab === "deploy" && <DeployForm config={config} />}
          {tab === "instances" && <InstancesTable filter={{ config: name }} />}
          {tab === "history" && <ConfigHistory name={name} />}
        </>
      )}
    </Page>
  );
}

function Lead({ config }: { config: Config }) {
  const { service, environment, format, currentVersion, schema, description, needsApproval } = config;
  return (
    <>
      <Traits
        all={[
          service,
          environment,
          format,
          currentVersion === null ? "nothing in force yet" : `version ${currentVersion} in force`,
          schema && (
            <a key="schema" href={href("schemas")}>
              schema {schema.subject}
            </a>
          ),
          needsApproval && "deployments need an approval",
        ]}
      />
      {description && <p class="description">{description}</p>}
    </>
  );
}
