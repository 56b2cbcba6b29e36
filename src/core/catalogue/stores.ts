/** Of what keeps things: the message log, blobs, secrets. */
import type { CatalogueEntry } from "./entry.ts";

export const stores = {
  // Message log
  log_corrupt: {
    kind: "internal",
    title: "A stored record is damaged",
    help: "The detail names partition, segment file and offset. Restore the segment from a copy; records before and after it are intact.",
  },
  log_offset_out_of_range: {
    kind: "gone",
    title: "The offset is no longer stored, or not yet written",
    help: "The detail names the range that is stored.",
  },
  log_write_failed: {
    kind: "unavailable",
    title: "The message log could not be written",
    help: "Nothing of this request was accepted. Look at the disk of the server, then repeat the request.",
  },
  log_outcome_unknown: {
    kind: "unavailable",
    title: "It is not certain whether the records were stored",
    help: "The disk failed while it wrote. Look whether they are there, or repeat the request and expect doubles, once the disk works again.",
  },
  log_fenced: {
    kind: "unavailable",
    title: "Another node has taken over",
    help: "Nothing of this request was accepted here. Repeat it; it goes to the node that serves the topic now.",
  },
  log_records_lost: {
    kind: "unavailable",
    title: "The store of the message log has lost records",
    help: "It no longer has what it had acknowledged: it was restored, failed over, or does not keep what it promised. The topic goes on from what is left; see `appendfsync` of Redis and the page on Redis.",
  },
  durability_unavailable: {
    kind: "unprocessable",
    title: "The message log does not keep this durability",
    help: "Give the topic a weaker durability, or a store that keeps it: for Redis `appendonly yes` and `appendfsync always`.",
  },
  disk_full: {
    kind: "insufficient_storage",
    title: "A disk of the server is full",
    help: "Nothing of this request was accepted. Free space or shorten the retention of messages, then repeat it.",
  },

  // Blobs and secrets
  blob_corrupt: {
    kind: "internal",
    title: "A stored object is damaged",
    help: "Its content does not fit its hash any more. Upload it again, or restore the file from a copy.",
  },
  secrets_unreadable: {
    kind: "internal",
    title: "The stored secrets cannot be read",
    help: "The detail says whether the master key is missing or wrong, or the file is damaged. Provide the key that the file was written with, or restore the file and its key from a copy.",
  },

  log_foreign: {
    kind: "conflict",
    title: "The database belongs to another message log",
    help: "Give this server the data folder that the database was used with, or a database of its own. Two servers with a log each must not share a database.",
  },
} as const satisfies Record<string, CatalogueEntry>;
