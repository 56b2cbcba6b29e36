/** All pages, by the system that they belong to: what the navigation shows and where each address leads. */
import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { ApprovalPage } from "./approvals/approval.page.tsx";
import { ApprovalsPage } from "./approvals/approvals.page.tsx";
import { waiting } from "./approvals/live.ts";
import { ConfigPage } from "./configuration/config.page.tsx";
import { ConfigsPage } from "./configuration/configs.page.tsx";
import { InstancesPage } from "./configuration/instances.page.tsx";
import { DeadLetterQueuePage } from "./dead-letters/dead-letter-queue.page.tsx";
import { DeadLettersPage } from "./dead-letters/dead-letters.page.tsx";
import { DeploymentPage } from "./deployments/deployment.page.tsx";
import { DeploymentsPage } from "./deployments/deployments.page.tsx";
import { NewRoutePage } from "./gateway/new-route.page.tsx";
import { RequestPage } from "./gateway/request.page.tsx";
import { RequestsPage } from "./gateway/requests.page.tsx";
import { RoutePage } from "./gateway/route.page.tsx";
import { RouteSetPage } from "./gateway/route-set.page.tsx";
import { RoutesPage } from "./gateway/routes.page.tsx";
import { TrafficPage } from "./gateway/traffic.page.tsx";
import { MessagePage } from "./messages/message.page.tsx";
import { NodesPage } from "./nodes/nodes.page.tsx";
import { OverviewPage } from "./overview/overview.page.tsx";
import type { IconName } from "./parts/icon.tsx";
import { NewSchemaPage } from "./schemas/new-schema.page.tsx";
import { SchemaPage } from "./schemas/schema.page.tsx";
import { SchemasPage } from "./schemas/schemas.page.tsx";
import { SubscriptionPage } from "./subscriptions/subscription.page.tsx";
import { SubscriptionsPage } from "./subscriptions/subscriptions.page.tsx";
import { TopicPage } from "./topics/topic.page.tsx";
import { TopicsPage } from "./topics/topics.page.tsx";

export interface Section {
  /** First part of the route; empty for the start page. */
  path: string;
  label: string;
  icon: IconName;
  /** How many things wait for somebody there. */
  waiting?: ReadonlySignal<number>;
  page(rest: readonly string[]): JSX.Element;
}

export interface System {
  /** Undefined for what belongs to all of them. */
  label?: string;
  sections: readonly Section[];
}

export const systems: readonly System[] = [
  { sections: [{ path: "", label: "Overview", icon: "overview", page: () => <OverviewPage /> }] },
  {
    label: "Messaging",
    sections: [
      {
        path: "topics",
        label: "Topics",
        icon: "topics",
        page: ([name, tab]) =>
          name === undefined ? <TopicsPage /> : <TopicPage key={name} name={name} tab={tab} />,
      },
      {
        path: "subscriptions",
        label: "Subscriptions",
        icon: "subscriptions",
        page: ([id, tab]) =>
          id === undefined ? <SubscriptionsPage /> : <SubscriptionPage key={id} id={id} tab={tab} />,
      },
      {
        path: "dead-letters",
        label: "Dead letters",
        icon: "letters",
        page: ([topic]) =>
          topic === undefined ? <DeadLettersPage /> : <DeadLetterQueuePage key={topic} topic={topic} />,
      },
      {
        path: "schemas",
        label: "Schemas",
        icon: "schemas",
        page: ([id]) => {
          if (id === undefined) return <SchemasPage />;
          return id === "new" ? <NewSchemaPage /> : <SchemaPage key={id} id={id} />;
        },
      },
      { path: "nodes", label: "Nodes", icon: "nodes", page: () => <NodesPage /> },
    ],
  },
  {
    label: "Gateway",
    sections: [
      {
        path: "routes",
        label: "Routes",
        icon: "routes",
        page: ([id, tab]) => {
          if (id === undefined) return <RoutesPage />;
          if (id === "new") return <NewRoutePage />;
          return id === "set" ? <RouteSetPage /> : <RoutePage key={id} id={id} tab={tab} />;
        },
      },
      { path: "traffic", label: "Traffic", icon: "traffic", page: () => <TrafficPage /> },
      {
        path: "requests",
        label: "Requests",
        icon: "requests",
        page: ([id]) => (id === undefined ? <RequestsPage /> : <RequestPage key={id} id={id} />),
      },
    ],
  },
  {
    label: "Configuration",
    sections: [
      {
        path: "configs",
        label: "Configurations",
        icon: "configs",
        page: ([name, tab]) =>
          name === undefined ? <ConfigsPage /> : <ConfigPage key={name} name={name} tab={tab} />,
      },
      { path: "instances", label: "Instances", icon: "instances", page: () => <InstancesPage /> },
    ],
  },
  {
    label: "All systems",
    sections: [
      {
        path: "deployments",
        label: "Deployments",
        icon: "deployments",
        page: ([id]) => (id === undefined ? <DeploymentsPage /> : <DeploymentPage key={id} id={id} />),
      },
      {
        path: "approvals",
        label: "Approvals",
        icon: "approvals",
        waiting,
        page: ([id]) => (id === undefined ? <ApprovalsPage /> : <ApprovalPage key={id} id={id} />),
      },
    ],
  },
];

/** Pages that are reached from others. */
const unlisted: readonly Section[] = [
  {
    path: "messages",
    label: "Message",
    icon: "topics",
    page: ([id]) => <MessagePage key={id ?? ""} id={id ?? ""} />,
  },
];

export const sections: readonly Section[] = [...systems.flatMap(({ sections }) => sections), ...unlisted];
