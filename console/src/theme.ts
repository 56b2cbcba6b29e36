/** Light or dark: the system's choice until the reader makes their own. Colours follow `color-scheme`. */
import { computed, effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const storageKey = "hotswap.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal<Theme>(system.matches ? "dark" : "light");
const chosen = signal<Theme | null>(localStorage.getItem(storageKey) as Theme | null);

export const theme = computed(() => chosen.value ?? systemTheme.value);

system.addEventListener("change", () => {
  systemTheme.value = system.matches ? "dark" : "light";
});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme(): void {
  chosen.value = theme.value === "dark" ? "light" : "dark";
  // Back at the system's choice, follow the system again.
  if (chosen.value === systemTheme.value) chosen.value = null;
  if (chosen.value) localStorage.setItem(storageKey, chosen.value);
  else localStorage.removeItem(storageKey);
}
