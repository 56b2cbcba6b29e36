/** All pages, by the system that they belong to: what the navigation shows and where each address leads. */
import type { JSX } from "preact";
import { OverviewPage } from "./overview/overview.page.tsx";
import type { IconName } from "./parts/icon.tsx";
import { SubscriptionPage } from "./subscriptions/subscription.page.tsx";
import { SubscriptionsPage } from "./subscriptions/subscriptions.page.tsx";
import { TopicPage } from "./topics/topic.page.tsx";
import { TopicsPage } from "./topics/topics.page.tsx";

export interface Section {
  /** First part of the route; empty for the start page. */
  path: string;
  label: string;
  icon: IconName;
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
    ],
  },
];

export const sections: readonly Section[] = systems.flatMap(({ sections }) => sections);
