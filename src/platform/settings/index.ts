/** The settings of a HotSwap process: one schema, loaded once. */
export {
  entryOf,
  flagOf,
  logLevels,
  type Setting,
  type SettingName,
  type Settings,
  settingNames,
  variableOf,
} from "./schema.ts";
export {
  type LoadedSettings,
  type LoadOptions,
  loadSettings,
  type Mode,
  type SettingDescription,
} from "./settings.ts";
export type { Source } from "./sources.ts";
