/** The head that every page has: where it belongs, what it is called, what can be done with it. */
import type { ComponentChildren } from "preact";
import { href, hrefWith, query, route } from "../route.ts";
import { Icon } from "./icon.tsx";
import { ProblemPanel } from "./problem.tsx";

interface PageProps {
  title: string;
  /** The list that the page is one of: label and route. */
  within?: readonly [string, ...string[]];
  lead?: ComponentChildren;
  actions?: ComponentChildren;
  /** True until there is something to show. */
  isBusy?: boolean;
  error?: unknown;
  children?: ComponentChildren;
}

export function Page({ title, within, lead, actions, isBusy = false, error, children }: PageProps) {
  const [label, ...list] = within ?? [""];
  return (
    <section class="page" aria-busy={isBusy}>
      {within && (
        <p class="crumbs">
          <a href={href(...list)}>{label}</a> <Icon name="chevron" />
        </p>
      )}
      <header class="page-head">
        <div>
          <h1>{title}</h1>
          {lead}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </header>
      <ProblemPanel error={error} />
      {children}
    </section>
  );
}

/** Short facts in a line below the title. */
export function Traits({ all }: { all: readonly (ComponentChildren | false | null | undefined)[] }) {
  return (
    <ul class="traits">
      {all.filter(Boolean).map((trait, index) => (
        <li key={index}>{trait}</li>
      ))}
    </ul>
  );
}

interface TabsProps {
  label: string;
  /** The route of the first tab; the others add their path to it. */
  base: readonly string[];
  tabs: readonly (readonly [path: string, label: string])[];
}

export function Tabs({ label, base, tabs }: TabsProps) {
  const current = route.value[base.length] ?? "";
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(([path, name]) => (
        <a
          key={path}
          href={href(...base, ...(path ? [path] : []))}
          aria-current={path === current ? "page" : undefined}
        >
          {name}
        </a>
      ))}
    </nav>
  );
}

/** Links that choose one value of a question of this page, such as the state of what a list shows. */
interface ChoicesProps {
  question: string;
  label: string;
  /** The first one is the default and leaves no trace in the address. */
  options: readonly (readonly [value: string, label: string])[];
}

export function Choices({ question, label, options }: ChoicesProps) {
  const current = chosen(question, options[0]![0]);
  return (
    <nav class="segments" aria-label={label}>
      {options.map(([value, name], index) => (
        <a
          key={value}
          href={hrefWith({ ...query.value, [question]: index === 0 ? "" : value }, ...route.value)}
          aria-current={value === current ? "true" : undefined}
        >
          {name}
        </a>
      ))}
    </nav>
  );
}

/** A value of a question of this page, or its default. */
export const chosen = (question: string, fallback: string): string => query.value[question] ?? fallback;
