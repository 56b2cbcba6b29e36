/** Inputs with their label and hint, for forms that keep all they hold in one draft. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Field, Select } from "./field.tsx";

/** All that a form holds, as it stands in its inputs, and a way to change a part of it. */
export interface Draft<Values> {
  readonly now: Values;
  set(part: Partial<Values>): void;
}

export function useDraft<Values extends object>(initial: Values): Draft<Values> {
  const values = useSignal(initial);
  return {
    now: values.value,
    set: (part) => {
      values.value = { ...values.value, ...part };
    },
  };
}

interface InputProps {
  id: string;
  label: string;
  hint?: ComponentChildren;
  value: string;
  onChange(value: string): void;
  type?: "text" | "number" | "url";
  min?: number;
  max?: number;
  placeholder?: string;
  /** Id of a datalist. */
  list?: string;
  isWrong?: boolean;
  /** More than one line. */
  rows?: number;
}

export function Input({ id, label, hint, value, onChange, isWrong, rows, ...rest }: InputProps) {
  const common = {
    id,
    value,
    autocomplete: "off",
    spellcheck: false,
    ...(hint !== undefined && { "aria-describedby": `${id}-hint` }),
    ...(isWrong !== undefined && { "aria-invalid": isWrong }),
  } as const;
  return (
    <Field id={id} label={label} hint={hint}>
      {rows === undefined ? (
        <input {...common} {...rest} onInput={(event) => onChange(event.currentTarget.value)} />
      ) : (
        <textarea
          {...common}
          rows={rows}
          placeholder={rest.placeholder}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface ChoiceProps<Value extends string> {
  id: string;
  label: string;
  hint?: ComponentChildren;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange(value: Value): void;
}

export function Choice<Value extends string>({ id, label, hint, ...rest }: ChoiceProps<Value>) {
  return (
    <Field id={id} label={label} hint={hint}>
      <Select id={id} {...rest} />
    </Field>
  );
}

interface TickProps {
  label: string;
  value: boolean;
  onChange(value: boolean): void;
}

export function Tick({ label, value, onChange }: TickProps) {
  return (
    <label class="tick">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.currentTarget.checked)} />
      {label}
    </label>
  );
}

/** What of `wanted` is another than in `now`; what is undefined was not said. */
export function differences<Values extends object>(now: Partial<Values>, wanted: Values): Partial<Values> {
  const names = Object.keys(wanted) as (keyof Values)[];
  const changed = names.filter(
    (name) => wanted[name] !== undefined && JSON.stringify(wanted[name]) !== JSON.stringify(now[name]),
  );
  return Object.fromEntries(changed.map((name) => [name, wanted[name]])) as Partial<Values>;
}
