/** What surrounds every page: navigation by system, marks of the mode and of the connection, theme, sign-out. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isJumping, Jump } from "./jump.tsx";
import { type Section, sections, systems } from "./navigation.tsx";
import { failure, overview } from "./overview/live.ts";
import { Icon, Logo } from "./parts/icon.tsx";
import { ProblemPanel } from "./parts/problem.tsx";
import { href, route } from "./route.ts";
import { apiUrl, signOut, token } from "./session.ts";
import { SignIn } from "./sign-in.tsx";
import { theme, toggleTheme } from "./theme.ts";

export function Shell() {
  return token.value === null ? <SignIn /> : <SignedIn />;
}

function SignedIn() {
  const [first = "", ...rest] = route.value;
  const section = sections.find(({ path }) => path === first);
  useEffect(() => {
    document.title = [rest[0], section?.label, "HotSwap"].filter(Boolean).join(" · ");
  }, [section, rest[0]]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      isJumping.value = true;
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="shell">
      <button type="button" class="button skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the content
      </button>
      <Side current={section} />
      <div class="content">
        {overview.value?.mode === "development" && (
          <p class="ribbon">
            <b>development</b>: fixed key, loopback only
          </p>
        )}
        <main id="main" tabIndex={-1}>
          <ConnectionProblem />
          {section ? section.page(rest) : <Lost />}
        </main>
      </div>
      {isJumping.value && <Jump />}
    </div>
  );
}

function Side({ current }: { current: Section | undefined }) {
  const isOpen = useSignal(false);
  const path = route.value.join("/");
  useEffect(() => {
    isOpen.value = false; // on a phone, the menu has served when a page was chosen
  }, [path]);
  return (
    <header class="side">
      <div class="side-head">
        <a class="brand" href={href()}>
          <Logo />
          HotSwap
        </a>
        <Pulse />
        <button
          type="button"
          class="button quiet menu"
          aria-label="Menu"
          aria-expanded={isOpen.value}
          aria-controls="navigation"
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          <Icon name={isOpen.value ? "close" : "menu"} />
        </button>
      </div>
      <div id="navigation" class={`side-body${isOpen.value ? " open" : ""}`}>
        <button
          type="button"
          class="button jump"
          aria-keyshortcuts="Control+K"
          onClick={() => {
            isJumping.value = true;
          }}
        >
          <Icon name="search" /> Go to… <kbd>Ctrl K</kbd>
        </button>
        <nav aria-label="Pages">
          {systems.map(({ label, sections }) => (
            <div key={label ?? ""} class="side-system">
              {label && <p class="side-label">{label}</p>}
              <ul>
                {sections.map((section) => (
                  <SectionLink key={section.path} section={section} isCurrent={section === current} />
                ))}
              </ul>
            </div>
          ))}
        </nav>
        <Tools />
      </div>
    </header>
  );
}

function SectionLink({ section, isCurrent }: { section: Section; isCurrent: boolean }) {
  const { path, label, icon, waiting } = section;
  const count = waiting?.value ?? 0;
  return (
    <li>
      <a
        class="side-section"
        href={href(...(path ? [path] : []))}
        aria-current={isCurrent ? "page" : undefined}
      >
        <Icon name={icon} />
        {label}
        {count > 0 && (
          <span class="side-count">
            {count}
            <span class="visually-hidden"> waiting</span>
          </span>
        )}
      </a>
    </li>
  );
}

function Tools() {
  const other = theme.value === "dark" ? "light" : "dark";
  return (
    <div class="side-tools">
      <a class="side-section" href={`${apiUrl}/docs`} target="_blank" rel="noreferrer">
        API <Icon name="external" />
      </a>
      <button
        type="button"
        class="button quiet"
        title="Light or dark"
        aria-label={`Use the ${other} theme`}
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
  );
}

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
