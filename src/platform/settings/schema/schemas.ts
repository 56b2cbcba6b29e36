/** The schema registry. */
import { boolean, integer } from "../kind.ts";
import { KiB, MiB, setting } from "../setting.ts";

export const schemasSettings = {
  "schemas.autoApprove": setting(boolean(), {
    meaning:
      "Approves a submitted schema by itself when it is proven to be compatible with the versions in force.",
    default: true,
  }),
  "schemas.sizeLimitBytes": setting(integer(KiB, MiB, "bytes"), {
    meaning: "The largest schema.",
    default: 256 * KiB,
  }),
  "schemas.deadlineMs": setting(integer(100, 60_000, "milliseconds"), {
    meaning: "How long a schema may take to be compiled, or compared. What takes longer is refused.",
    default: 5_000,
  }),
  "schemas.documentTimeoutMs": setting(integer(1, 10_000, "milliseconds"), {
    meaning:
      "How long one document may take to be validated when it is published. What takes longer is refused.",
    default: 100,
  }),
};
