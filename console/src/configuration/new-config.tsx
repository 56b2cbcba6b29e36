/** Asks for what a new configuration needs. */
import { useSignal } from "@preact/signals";
import type { ConfigFormat } from "../../../client/src/index.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Field, Select } from "../parts/field.tsx";
import { curl, shellWord } from "../parts/twin.tsx";
import { go } from "../route.ts";
import { hotswap } from "../session.ts";

const formats = [
  ["json", "JSON"],
  ["yaml", "YAML"],
  ["toml", "TOML"],
  ["properties", "properties"],
] as const;

const texts = [
  ["name", "Name", "One for all environments, such as checkout-production"],
  ["service", "Service", "Whose instances get it"],
  ["environment", "Environment", "Such as development, staging or production"],
] as const;

export function NewConfigDialog({ onClose }: { onClose(): void }) {
  const values = useSignal({ name: "", service: "", environment: "development" });
  const format = useSignal<ConfigFormat>("yaml");
  const { name, service, environment } = values.value;
  const body = {
    name: name.trim(),
    service: service.trim(),
    environment: environment.trim(),
    format: format.value,
  };
  const flags = `--service ${shellWord(body.service || "checkout")} --environment ${shellWord(body.environment)}`;
  return (
    <Confirm
      title="Create a configuration"
      verb="Create"
      isReady={body.name !== "" && body.service !== "" && body.environment !== ""}
      twin={{
        cli: `hotswap config create ${shellWord(body.name || "checkout")} ${flags} --format ${body.format}`,
        curl: curl("POST", "/api/v1/configs", body),
      }}
      work={() => hotswap().configs.create(body)}
      onDone={() => go("configs", body.name, "edit")}
      onClose={onClose}
    >
      {texts.map(([field, label, hint]) => (
        <Field key={field} id={`config-${field}`} label={label} hint={hint}>
          <input
            id={`config-${field}`}
            autocomplete="off"
            spellcheck={false}
            aria-describedby={`config-${field}-hint`}
            value={values.value[field]}
            onInput={(event) => {
              values.value = { ...values.value, [field]: event.currentTarget.value };
            }}
          />
        </Field>
      ))}
      <Field id="config-format" label="Format">
        <Select
          id="config-format"
          value={format.value}
          options={formats}
          onChange={(value) => {
            format.value = value;
          }}
        />
      </Field>
    </Confirm>
  );
}
