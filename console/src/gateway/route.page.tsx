/** One route: what goes through it, how its backends are, and a change of it that can be tried first. */
import { useSignal } from "@preact/signals";
import type { GatewayBackend, GatewayRoute } from "../../../client/src/index.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Icon } from "../parts/icon.tsx";
import { Page, Tabs, Traits } from "../parts/page.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { type Live, useLive } from "../poll.ts";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";
import { refreshTraffic } from "./live.ts";
import { RouteActivity } from "./route-activity.tsx";
import { RouteEditor } from "./route-editor.tsx";
import { applying, matchText, specOf } from "./route-text.ts";

const tabs = [
  ["", "Activity"],
  ["edit", "Edit"],
] as const;

interface Known {
  route: GatewayRoute;
  backends: readonly GatewayBackend[];
}

export function RoutePage({ id, tab = "" }: { id: string; tab: string | undefined }) {
  const isDeleting = useSignal(false);
  const { answer, error, refresh }: Live<Known> = useLive(
    async (signal): Promise<Known> => {
      if (isDeleting.value && answer.value) return answer.value;
      const [route, backends] = await Promise.all([
        hotswap().gateway.route(id, { signal }),
        hotswap().gateway.backends({ signal }),
        refreshTraffic(signal),
      ]);
      return { route, backends: backends.filter(({ routes }) => routes.includes(route.name)) };
    },
    { intervalMs: 1000 },
  );
  const route = answer.value?.route;
  const address = `/api/v1/gateway/routes/${encodeURIComponent(id)}`;
  return (
    <Page
      title={route?.name ?? "Route"}
      within={["Routes", "routes"]}
      isBusy={route === undefined}
      error={error.value}
      lead={
        route && (
          <>
            <Traits
              all={[
                <code key="match">{matchText(route.match)}</code>,
                route.strategy ?? "round-robin",
                (route.enabled ?? true) ? "on" : "off",
                `version ${route.version}`,
              ]}
            />
            {route.description && <p class="description">{route.description}</p>}
          </>
        )
      }
      actions={
        route && (
          <button
            type="button"
            class="button"
            onClick={() => {
              isDeleting.value = true;
            }}
          >
            <Icon name="trash" /> Delete
          </button>
        )
      }
    >
      {route && (
        <>
          <Tabs label="Parts of the route" base={["routes", id]} tabs={tabs} />
          {tab === "" && <RouteActivity route={route} backends={answer.value!.backends} onChange={refresh} />}
          {tab === "edit" && (
            <RouteEditor
              key={route.version}
              current={specOf(route)}
              start={specOf(route)}
              verb="Save"
              save={(spec, dryRun) => hotswap().gateway.updateRoute(id, route.version, spec, { dryRun })}
              onSaved={() => {
                void refresh();
                go("routes", id);
              }}
              twinOf={(spec) => ({
                cli: applying([spec]),
                curl: curl("PUT", address, spec, { "if-match": `"${route.version}"` }),
              })}
            />
          )}
        </>
      )}
      {route && isDeleting.value && (
        <Confirm
          title={`Delete ${route.name}`}
          verb="Delete route"
          isDanger
          typed={route.name}
          twin={{
            cli: `hotswap gateway routes delete ${shellWord(route.name)}`,
            curl: curl("DELETE", address),
          }}
          work={() => hotswap().gateway.deleteRoute(id)}
          onDone={() => go("routes")}
          onClose={() => {
            isDeleting.value = false;
          }}
        >
          <p>
            New requests for it find no route, or the next one that matches. Those on their way end as they
            began.
          </p>
        </Confirm>
      )}
    </Page>
  );
}
