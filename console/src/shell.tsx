/** What surrounds every page: navigation, marks of the mode and of the connection, theme and sign-out. */
import type { JSX } from "preact";
import { failure, overview } from "./overview/live.ts";
import { OverviewPage } from "./overview/overview.page.tsx";
import { Icon, type IconName, Logo } from "./parts/icon.tsx";
import { ProblemPanel } from "./parts/problem.tsx";
import { href, route } from "./route.ts";
import { apiUrl, signOut, token } from "./session.ts";
import { SignIn } from "./sign-in.tsx";
import { theme, toggleTheme } from "./theme.ts";
import { TopicPage } from "./topics/topic.page.tsx";
import { TopicsPage } from "./topics/topics.page.tsx";

interface Section {
  /** First part of the route; empty for the start page. */
  path: string;
  label: string;
  icon: IconName;
  page(rest: readonly string[]): JSX.Element;
}

const sections: readonly Section[] = [
  { path: "", label: "Overview", icon: "overview", page: () => <OverviewPage /> },
  {
    path: "topics",
    label: "Topics",
    icon: "topics",
    page: ([name, tab]) =>
      name === undefined ? <TopicsPage /> : <TopicPage key={name} name={name} tab={tab} />,
  },
];

export function Shell() {
  if (token.value === null) return <SignIn />;
  const [first = "", ...rest] = route.value;
  const section = sections.find(({ path }) => path === first);
  return (
    <div class="shell">
      <button type="button" class="button skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      {overview.value?.mode === "development" && (
        <p class="ribbon">
          <b>development</b>: fixed key, loopback only
        </p>
      )}
      <header class="bar">
        <a class="brand" href={href()}>
          <Logo />
          HotSwap
        </a>
        <nav class="bar-sections" aria-label="Sections">
          {sections.map(({ path, label, icon }) => (
            <a
              key={path}
              class="bar-section"
              href={href(...(path ? [path] : []))}
              aria-current={path === first ? "page" : undefined}
            >
              <Icon name={icon} />
              {label}
            </a>
          ))}
        </nav>
        <div class="bar-end">
          <Pulse />
          <div class="bar-links">
            <a class="bar-link" href={`${apiUrl}/docs`} target="_blank" rel="noreferrer">
              API <Icon name="external" />
            </a>
            <button
              type="button"
              class="button quiet"
              title="Light or dark"
              aria-label={`Use the ${other()} theme`}
              onClick={toggleTheme}
            >
              <Icon name={theme.value === "dark" ? "sun" : "moon"} />
            </button>
            <button
              type="button"
              class="button quiet"
              title="Sign out"
              aria-label="Sign out"
              onClick={() => signOut()}
            >
              <Icon name="leave" />
            </button>
          </div>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <ConnectionProblem />
        {section ? section.page(rest) : <Lost />}
      </main>
    </div>
  );
}

const other = () => (theme.value === "dark" ? "light" : "dark");

/** One word on how the server is, on every page. */
function Pulse() {
  const status = failure.value ? "unreachable" : (overview.value?.health.status ?? "connecting");
  const words: Record<string, string> = {
    ok: "Healthy",
    degraded: "Degraded",
    down: "Down",
    unreachable: "No answer",
  };
  return (
    <a class={`pulse ${status}`} href={href()} title="Health of the server">
      <span class="dot" />
      <span role="status">{words[status] ?? "Connecting"}</span>
    </a>
  );
}

function ConnectionProblem() {
  return failure.value ? <ProblemPanel error={failure.value} /> : null;
}

function Lost() {
  return (
    <section class="page">
      <h1>There is no such page</h1>
      <p>
        Go to the <a href={href()}>overview</a> or to the <a href={href("topics")}>topics</a>.
      </p>
    </section>
  );
}
