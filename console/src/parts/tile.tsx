/** One number that matters, with its name and its recent shape. */
import type { ComponentChildren } from "preact";

interface TileProps {
  label: string;
  value: string;
  unit?: string;
  children?: ComponentChildren;
}

export function Tile({ label, value, unit, children }: TileProps) {
  return (
    <div class="panel tile">
      <dt>{label}</dt>
      <dd>
        <span class="tile-value">{value}</span>
        {unit && <span class="tile-unit">{unit}</span>}
        {children}
      </dd>
    </div>
  );
}

export function Tiles({ children }: { children: ComponentChildren }) {
  return <dl class="tiles">{children}</dl>;
}

/** What stands where a list would be, and the command that fills it. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}
