/** The search box of a list. What is searched for stands in the address; `/` leads here from anywhere. */
import { useEffect, useRef } from "preact/hooks";
import { ask, query } from "../route.ts";

export function SearchBox({ label }: { label: string }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = (event.target as Element).closest("input, textarea, select, dialog");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || isTyping) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <input
      ref={input}
      type="search"
      class="search"
      placeholder={`${label}  /`}
      aria-label={label}
      aria-keyshortcuts="/"
      value={searched()}
      onInput={(event) => ask({ q: event.currentTarget.value })}
    />
  );
}

/** What the page's list is searched for. */
export const searched = (): string => query.value.q ?? "";

/** Whether a row with these words fits the search: each word of it must occur in one of them. */
export function fits(...words: (string | null | undefined)[]): boolean {
  const text = words.join(" ").toLowerCase();
  return searched()
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

export function NothingFits({ what }: { what: string }) {
  return (
    <p class="muted nothing-fits" role="status">
      No {what} fits “{searched()}”.{" "}
      <button type="button" class="button small" onClick={() => ask({ q: "" })}>
        Show all
      </button>
    </p>
  );
}
