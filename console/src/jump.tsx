/** Goes to any page, topic, subscription or route by a few letters of its name; Ctrl+K opens it from anywhere. */
import { signal, useComputed, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { systems } from "./navigation.tsx";
import { Dialog } from "./parts/dialog.tsx";
import { href } from "./route.ts";
import { hotswap } from "./session.ts";

interface Place {
  label: string;
  /** What kind of place it is. */
  kind: string;
  address: string;
}

/** Names asked of the server; with more, typing the address is faster than reading a list. */
const namesMax = 200;
const shownMax = 12;

const pages: readonly Place[] = systems.flatMap(({ label = "HotSwap", sections }) =>
  sections.map((section) => ({
    label: section.label,
    kind: label,
    address: href(...(section.path ? [section.path] : [])),
  })),
);

export const isJumping = signal(false);

const close = () => {
  isJumping.value = false;
};

export function Jump() {
  const text = useSignal("");
  const named = useSignal<readonly Place[]>([]);
  const index = useSignal(0);
  useEffect(() => {
    const ended = new AbortController();
    // Without the names the pages are still there; the page behind says what is wrong with the server.
    namedPlaces(ended.signal).then(
      (places) => {
        named.value = places;
      },
      () => {},
    );
    return () => ended.abort();
  }, []);
  // Keys ask these themselves: who types fast presses Enter before the list is drawn anew.
  const places = useComputed(() => {
    const words = text.value.toLowerCase().split(/\s+/);
    return [...pages, ...named.value]
      .filter(({ label, kind }) => words.every((word) => `${label} ${kind}`.toLowerCase().includes(word)))
      .slice(0, shownMax);
  });
  const chosen = useComputed(() => Math.min(index.value, places.value.length - 1));
  const [found, at] = [places.value, chosen.value];
  const open = (place: Place | undefined) => {
    if (!place) return;
    location.hash = place.address;
    close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) index.value = Math.max(0, Math.min(places.value.length - 1, chosen.value + step));
    else if (event.key === "Enter") open(places.value[chosen.value]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" onClose={close}>
      <input
        type="text"
        role="combobox"
        aria-label="Page, topic, subscription, route"
        aria-expanded="true"
        aria-controls="jump-list"
        aria-activedescendant={found[at] ? `jump-${at}` : undefined}
        placeholder="Page, topic, subscription, route"
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onKeyDown={onKeyDown}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          index.value = 0;
        }}
      />
      <div id="jump-list" class="jump-list" role="listbox" aria-label="Places" tabIndex={-1}>
        {found.map((place, position) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are heard by the box above, which keeps the focus
          <div
            key={place.address}
            id={`jump-${position}`}
            role="option"
            tabIndex={-1}
            aria-selected={position === at}
            onClick={() => open(place)}
          >
            {place.label} <span class="muted">{place.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p class="muted">Nothing has “{text.value}” in its name.</p>}
    </Dialog>
  );
}

async function namedPlaces(signal: AbortSignal): Promise<Place[]> {
  const [topics, subscriptions, routes] = await Promise.all([
    hotswap().topics.list({ limit: namesMax, signal }),
    hotswap().subscriptions.list({ limit: namesMax, signal }),
    hotswap().gateway.routes({ limit: namesMax, signal }),
  ]);
  return [
    ...topics.items.map(({ name }) => ({ label: name, kind: "topic", address: href("topics", name) })),
    ...subscriptions.items.map(({ id, name, topic }) => ({
      label: name,
      kind: `subscription of ${topic}`,
      address: href("subscriptions", id),
    })),
    ...routes.items.map(({ id, name }) => ({ label: name, kind: "route", address: href("routes", id) })),
  ];
}
