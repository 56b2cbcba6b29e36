/** Which records a reader wants: counts down while they are found. */
export interface ReadRange {
  from: number;
  /** Exclusive. */
  to: number;
  records: number;
  bytes: number;
}
