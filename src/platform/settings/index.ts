/** The settings of a HotSwap process: one schema, loaded once. */

export { logLevels } from "./schema/telemetry.ts";
export {
  entryOf,
  flagOf,
  type SettingName,
  type Settings,
  settingNames,
  variableOf,
} from "./schema.ts";
export type { Setting } from "./setting.ts";
export {
  type LoadedSettings,
  type LoadOptions,
  loadSettings,
  type Mode,
  type SettingDescription,
} from "./settings.ts";
export type { Source } from "./sources.ts";
