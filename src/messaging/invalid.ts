/** What is wrong with one field of a request, where a schema cannot say it. */
import { HotSwapError } from "../core/errors.ts";

export function invalid(pointer: string, message: string): HotSwapError {
  return new HotSwapError("validation_failed", `${pointer} ${message}.`, { fields: [{ pointer, message }] });
}
