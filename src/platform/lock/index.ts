/** The door of the locks. */
export { type AcquireOptions, KvLock, type Lease, type Lock } from "./lock.ts";
