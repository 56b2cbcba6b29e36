/** A labelled input with its hint; whatever stands inside gets the label's id by `htmlFor`. */
import type { ComponentChildren } from "preact";

interface FieldProps {
  id: string;
  label: string;
  hint?: ComponentChildren;
  children: ComponentChildren;
}

export function Field({ id, label, hint, children }: FieldProps) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface SelectProps<Value extends string> {
  id: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange(value: Value): void;
}

export function Select<Value extends string>({ id, value, options, onChange }: SelectProps<Value>) {
  return (
    <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value as Value)}>
      {options.map(([option, label]) => (
        <option key={option} value={option}>
          {label}
        </option>
      ))}
    </select>
  );
}
