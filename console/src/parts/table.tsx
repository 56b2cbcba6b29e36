/** A table by its columns. On a phone each row is a card whose cells say what they are. */
import type { ComponentChildren } from "preact";
import { href } from "../route.ts";

export interface Column<Row> {
  /** The head; for cells that need none to the eye, `isHeadHidden` keeps it for screen readers. */
  head: string;
  isHeadHidden?: boolean;
  isNumber?: boolean;
  class?: string;
  cell(row: Row): ComponentChildren;
  /** Below the name, of the first column only. */
  note?(row: Row): ComponentChildren;
}

interface TableProps<Row> {
  title?: string;
  rows: readonly Row[];
  /** The first one names the row. */
  columns: readonly Column<Row>[];
  keyOf(row: Row): string;
  /** Where the row leads; its name becomes the link, and the whole row may be clicked. */
  to?(row: Row): readonly string[];
  children?: ComponentChildren;
}

export function Table<Row>({ title, rows, columns, keyOf, to, children }: TableProps<Row>) {
  const [name, ...rest] = columns;
  return (
    <section class="panel table-panel">
      {title && <h2>{title}</h2>}
      <table class={to ? "linked" : undefined}>
        <thead>
          <tr>
            {columns.map(({ head, isHeadHidden, isNumber }) => (
              <th key={head} scope="col" class={isNumber ? "number" : undefined}>
                {isHeadHidden ? <span class="visually-hidden">{head}</span> : head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={keyOf(row)} row={row} name={name!} rest={rest} target={to?.(row)} />
          ))}
        </tbody>
      </table>
      {children}
    </section>
  );
}

interface RowProps<Row> {
  row: Row;
  name: Column<Row>;
  rest: readonly Column<Row>[];
  target: readonly string[] | undefined;
}

/** A component of its own, so that signals which cells read redraw one row and not the table. */
function Row<Row>({ row, name, rest, target }: RowProps<Row>) {
  const address = target && href(...target);
  const open = (event: MouseEvent) => {
    const isOnControl = (event.target as Element).closest("a, button, input, select");
    if (address && !isOnControl && getSelection()?.isCollapsed !== false) location.hash = address;
  };
  return (
    <tr onClick={address ? open : undefined}>
      <th scope="row">
        {address ? <a href={address}>{name.cell(row)}</a> : name.cell(row)}
        {name.note?.(row) && <small>{name.note(row)}</small>}
      </th>
      {rest.map(({ head, isHeadHidden, isNumber, class: extra, cell }) => (
        <td
          key={head}
          data-label={isHeadHidden ? undefined : head}
          class={[isNumber && "number", extra].filter(Boolean).join(" ") || undefined}
        >
          {cell(row)}
        </td>
      ))}
    </tr>
  );
}
