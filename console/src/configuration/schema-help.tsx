/** What the schema of a configuration says of its fields, beside the editor. */

import { useLive } from "../poll.ts";
import { hotswap } from "../session.ts";
import { plainType, schemaFields } from "./schema-fields.ts";

interface SchemaHelpProps {
  subject: string;
  /** Null: the latest in force. */
  version: number | null;
}

export function SchemaHelp({ subject, version }: SchemaHelpProps) {
  const { answer } = useLive(
    async (signal) => {
      const { items } = await hotswap().schemas.list({ subject, limit: 100, signal });
      const wanted = items.filter((one) =>
        version === null ? one.state === "approved" : one.version === version,
      );
      const [newest] = wanted.sort((a, b) => b.version - a.version);
      return newest && hotswap().schemas.get(newest.id, { signal });
    },
    { intervalMs: 60_000 },
  );
  const fields = answer.value ? schemaFields(answer.value.schema) : [];
  return (
    <section class="panel">
      <h2>Fields of {subject}</h2>
      {fields.length === 0 && <p class="muted">The schema names no fields.</p>}
      <dl class="fields">
        {fields.map((field) => (
          <div key={field.path}>
            <dt>
              <code>{field.path}</code> <span class="muted">{plainType(field)}</span>
            </dt>
            {field.description && <dd>{field.description}</dd>}
          </div>
        ))}
      </dl>
    </section>
  );
}
