/** Names of subjects to choose from. A help: without it a name can be typed. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { hotswap } from "../session.ts";

export function useSubjects(): readonly string[] {
  const names = useSignal<readonly string[]>([]);
  useEffect(() => {
    hotswap()
      .schemas.list({ state: "approved", limit: 200 })
      .then(
        ({ items }) => {
          names.value = [...new Set(items.map(({ subject }) => subject))];
        },
        () => {},
      );
  }, []);
  return names.value;
}
