/** Of configurations, their versions, instances and secrets. */
import type { CatalogueEntry } from "./entry.ts";

export const configuration = {
  config_not_found: {
    kind: "not_found",
    title: "There is no such configuration",
    help: "List them with `hotswap config list`; create one with `hotswap config create`.",
  },
  config_exists: {
    kind: "conflict",
    title: "A configuration of this name exists",
    help: "A name counts for all services and environments of a tenant. Choose another one, such as `checkout-staging`.",
  },
  configs_full: {
    kind: "conflict",
    title: "There are too many configurations",
    help: "Delete some, or raise the setting that the detail names.",
  },
  config_invalid: {
    kind: "unprocessable",
    title: "The document cannot be read",
    help: "Each entry of `errors` has a JSON Pointer with line and column of the text; `data` has the places as numbers.",
  },
  config_too_large: {
    kind: "too_large",
    title: "The document is too large",
    help: "Split it into several configurations, or raise `configuration.textLimitBytes`.",
  },
  config_schema_violated: {
    kind: "unprocessable",
    title: "The document does not fit the schema of its configuration",
    help: "Each entry of `errors` has a JSON Pointer with line and column of the text. Nothing was kept.",
  },
  config_secret_unknown: {
    kind: "unprocessable",
    title: "The document refers to a secret that is not there",
    help: "Set it first, with `hotswap config secret set NAME`, or correct the name.",
  },
  config_version_not_found: {
    kind: "not_found",
    title: "The configuration has no such version",
    help: "List its versions with `hotswap config versions NAME`.",
  },
  config_versions_full: {
    kind: "conflict",
    title: "The configuration has too many versions",
    help: "Delete old ones, or raise the setting that the detail names.",
  },
  config_version_in_use: {
    kind: "conflict",
    title: "The version is in use",
    help: "A version that is in force or part of a deployment stays. Deploy another one first.",
  },
  config_conflict: {
    kind: "conflict",
    title: "Somebody else has made a version meanwhile",
    help: "Read the newest version, bring your change into it, and send it with that version as `parent`.",
  },
  config_promotion_refused: {
    kind: "conflict",
    title: "The document cannot be promoted there",
    help: "Both configurations must be of the same service and format, and not the same one.",
  },
  config_import_invalid: {
    kind: "unprocessable",
    title: "The set of configurations cannot be taken",
    help: "Each entry of `errors` points into the set; a document's own place is in the message. Nothing was kept.",
  },
  config_drift: {
    kind: "conflict",
    title: "Git and HotSwap say different things",
    help: "Nothing was written. Decide for each one named: change the file or the version, or run the sync again with `--prefer git` or `--prefer hotswap`.",
  },
  git_failed: {
    kind: "conflict",
    title: "Git did not do what was asked of it",
    help: "The detail has what git said. The folder must be in the work tree of a repository, with a name and an address to commit by.",
  },
  config_draft_not_found: {
    kind: "not_found",
    title: "You have no draft of this configuration",
    help: "Save one first with `PUT /api/v1/configs/{name}/draft`.",
  },
  config_version_current: {
    kind: "conflict",
    title: "The version is in force already",
    help: "There is nothing to deploy. Name another version.",
  },
  config_version_unreleased: {
    kind: "conflict",
    title: "The version has not been deployed where approval is needed",
    help: "Instances can only be pinned to versions that are, or have been, deployed there: a pin is no way around approval.",
  },
  config_pin_not_found: {
    kind: "not_found",
    title: "There is no such pin",
    help: "List the pins of the configuration; the labels must be exactly those of the pin.",
  },
  config_trial_nobody: {
    kind: "conflict",
    title: "No instance is there to be asked",
    help: "A trial asks live instances of the configuration's service and environment. See `hotswap instance list`.",
  },
  config_holds_no_flags: {
    kind: "invalid",
    title: "The configuration is no document of feature flags",
    help: "Flags are a configuration in flagd's format, with `flags` at its top. Name another one with the header X-HotSwap-Config.",
  },
  flag_not_found: {
    kind: "not_found",
    title: "There is no such feature flag",
    help: "The configuration has no flag of this key. Name another configuration with the header X-HotSwap-Config.",
  },
  flag_evaluation_failed: {
    kind: "invalid",
    title: "The feature flag cannot be evaluated",
    help: "The detail says what is wrong with its targeting rule. Callers take their own default.",
  },
  instance_not_found: {
    kind: "not_found",
    title: "There is no such instance",
    help: "It was taken away, or was silent for too long. Register it again.",
  },
  instance_config_not_found: {
    kind: "not_found",
    title: "The document is not meant for the instance",
    help: "An instance gets the versions that its heartbeat's answer names, and those of open trials.",
  },
  instances_full: {
    kind: "conflict",
    title: "The tenant has as many instances as it may",
    help: "Deregister what is not needed, or raise `configuration.instancesMax`.",
  },
  secret_not_found: {
    kind: "not_found",
    title: "There is no such secret",
    help: "List their names with `hotswap config secret list`; set one with `hotswap config secret set NAME`.",
  },
  secret_in_use: {
    kind: "conflict",
    title: "The secret is in use",
    help: "`data` lists what refers to it: versions of configurations, and routes of the gateway. Change or deploy others first, or send `force`.",
  },
} as const satisfies Record<string, CatalogueEntry>;
