/** Line icons on a 16 px grid in the colour of the text. They are decoration; words carry the meaning. */
const paths = {
  overview: "M2.5 9.5h2.5l1.5-5 3 8 1.5-5 1 2h1.5",
  topics: "M2.5 4h11M2.5 8h11M2.5 12h7",
  subscriptions: "M2.5 3.5h6M2.5 8h4M2.5 12.5h6M10 5.5l3.5 2.5-3.5 2.5z",
  letters: "M2.5 4.5h11v8h-11zM2.5 4.5l5.5 4.5 5.5-4.5",
  schemas:
    "M6 2.5c-2 0-2 1-2 2.5s0 2.5-1.5 3c1.5.5 1.5 1.5 1.5 3s0 2.5 2 2.5M10 2.5c2 0 2 1 2 2.5s0 2.5 1.5 3c-1.5.5-1.5 1.5-1.5 3s0 2.5-2 2.5",
  nodes: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.1M5 11v.1",
  routes: "M2.5 8h3l3-4.5h5M5.5 8l3 4.5h5M11.5 1.5l2 2-2 2M11.5 10.5l2 2-2 2",
  traffic: "M2.5 13V8M6.2 13V3M9.8 13V6M13.5 13v-3",
  requests: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3 3M7 5v2.5l1.5 1",
  approvals: "M8 1.5l5.5 2v4c0 3.5-2.3 5.8-5.5 7-3.2-1.2-5.5-3.5-5.5-7v-4zM5.5 8l2 2 3.5-4",
  configs: "M2.5 4.5h6M12 4.5h1.5M8.5 3v3h3.5v-3zM2.5 11.5h1.5M7.5 11.5h6M4 10v3h3.5v-3z",
  instances: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  deployments: "M8 1.5c3 2 3.5 5 3 8.5h-6c-.5-3.5 0-6.5 3-8.5M5 10l-2 3M11 10l2 3M8 12v2.5M8 6v.1",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9M10.5 10.5l3 3",
  edit: "M3 13l.5-2.5 7.5-7.5 2 2-7.5 7.5z",
  play: "M5 3l8 5-8 5z",
  copy: "M5.5 5.5h7v8h-7zM3.5 10.5v-8h7",
  check: "M3 8.5l3.5 3.5 6.5-7.5",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6M8 1.5V3M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1 1m7 7l1 1m-9 0l1-1m7-7l1-1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
  plus: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  chevron: "M6 4l4 4-4 4",
  external: "M9.5 2.5h4v4M13.5 2.5l-6 6M11.5 9.5v4h-9v-9h4",
  leave: "M6.5 2.5h-4v11h4M10 5l3 3-3 3M13 8H6",
  warning: "M8 2.5l6 11H2zM8 6.5v3.5M8 12v.1",
  trash: "M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.5 9h6l.5-9",
  refresh: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M8 11.5h13m-4.5-5 5 5-5 5" />
      <path d="M24 21.5H11m4.5-5-5 5 5 5" opacity=".72" />
    </svg>
  );
}
