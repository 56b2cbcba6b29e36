/** What every driver refuses before it does anything, so that none accepts what another would not. */
import { type GcraLimit, keyLengthMax, valueLengthMax } from "./port.ts";

export function checkKey(key: string): void {
  if (key.length === 0 || key.length > keyLengthMax) {
    throw new RangeError(`a key of ${key.length} characters; 1 to ${keyLengthMax} are possible`);
  }
  checkText(key);
}

export function checkValue(value: string): void {
  if (value.length > valueLengthMax) {
    throw new RangeError(`a value of ${value.length} characters; at most ${valueLengthMax} are possible`);
  }
  checkText(value);
}

/** Half a surrogate pair has no UTF-8, so Redis would give back another text. */
function checkText(text: string): void {
  if (!text.isWellFormed()) throw new TypeError("text that is not well-formed Unicode");
}

/** The time to live in whole milliseconds, at least one. */
export function wholeTtlMs(ttlMs: number | undefined): number | undefined {
  if (ttlMs === undefined) return undefined;
  if (!(ttlMs > 0 && ttlMs <= Number.MAX_SAFE_INTEGER / 1000)) {
    throw new RangeError(`a time to live of ${ttlMs} ms`);
  }
  return Math.ceil(ttlMs);
}

export function checkStep(by: number): void {
  if (!Number.isSafeInteger(by)) throw new RangeError(`an increment by ${by}`);
}

export function checkLimit({ burst, intervalMs, cost }: GcraLimit): void {
  const valid =
    burst >= 1 && intervalMs > 0 && cost >= 0 && Number.isInteger(burst) && Number.isInteger(cost);
  if (!valid) throw new RangeError(`a rate limit of burst ${burst}, interval ${intervalMs}, cost ${cost}`);
}
