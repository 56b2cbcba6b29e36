/** A button that puts text on the clipboard and says so, to the eye and to a screen reader. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon } from "./icon.tsx";

interface CopyProps {
  text: string;
  /** What is copied, such as "the command". */
  label: string;
  /** Says it beside the icon, where the icon alone would leave doubt. */
  shown?: boolean;
}

export function CopyButton({ text, label, shown = false }: CopyProps) {
  const state = useSignal<"ready" | "copied" | "failed">("ready");
  useEffect(() => {
    if (state.value === "ready") return;
    const timer = setTimeout(() => {
      state.value = "ready";
    }, 1600);
    return () => clearTimeout(timer);
  }, [state.value]);
  const copy = async () => {
    state.value = await write(text);
  };
  const said = {
    ready: shown ? `Copy ${label}` : "",
    copied: "Copied",
    failed: "Select the text and copy it by hand",
  }[state.value];
  return (
    <button
      type="button"
      class="button quiet small"
      aria-label={`Copy ${label}`}
      title={`Copy ${label}`}
      onClick={copy}
    >
      <Icon name={state.value === "copied" ? "check" : "copy"} />
      <span class="copy-word" role="status">
        {said}
      </span>
    </button>
  );
}

async function write(text: string): Promise<"copied" | "failed"> {
  // Without HTTPS, browsers offer no clipboard but on loopback.
  if (!navigator.clipboard) return "failed";
  return navigator.clipboard.writeText(text).then(
    () => "copied",
    () => "failed",
  );
}
