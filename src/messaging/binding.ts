/**
 * Ties the database and the message log to one another. The log's partitions are named by numbers that the
 * database gives out, so with another log, or another database, a topic would show foreign messages, and two
 * servers with a log each would both accept messages for the same offsets. The first start binds the two;
 * every later one refuses a stranger with `log_foreign`.
 */
import { HotSwapError, hasCode } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { LogStore } from "../stores/log/port.ts";
import type { Sql, Tx } from "../stores/sql/port.ts";
import type { MessagingTables } from "./tables.ts";

const partitionName = "identity";

/** Nodes that start at the same moment on the same log meet here; one of them wins, the others look again. */
const attemptsMax = 5;

export async function bindLog(sql: Sql, log: LogStore, makeId: MakeId): Promise<void> {
  for (let attempt = 1; !(await bind(sql, log, makeId)); attempt++) {
    if (log.shared && attempt < attemptsMax) continue;
    throw new HotSwapError("log_foreign");
  }
}

/** Resolves to false when another process was faster. */
async function bind(sql: Sql, log: LogStore, makeId: MakeId): Promise<boolean> {
  const others = (await log.list()).filter((name) => name !== partitionName);
  const partition = await log.partition(partitionName);
  const [known] = partition.end > 0 ? await partition.read(0, { records: 1, bytes: 1 }) : [];
  const own = known?.body.toString();
  const bound = await sql.system((tx: Tx<MessagingTables>) =>
    tx.selectFrom("messaging_log").select("log_id").executeTakeFirst(),
  );
  if (bound?.log_id === own && own !== undefined) return true;
  if (bound && log.shared && own === undefined) return false; // bound between the two looks, or a foreign one
  if (bound) throw new HotSwapError("log_foreign");
  // A log that was used with a database that is gone: its numbers would be given out again.
  if (others.length > 0)
    throw new HotSwapError("log_foreign", "The message log was used with another database.");
  const id = own ?? makeId();
  try {
    if (!own) await partition.append([Buffer.from(id)], log.durability);
  } catch (error) {
    if (hasCode(error, "log_fenced")) return false;
    throw error;
  }
  const inserted = await sql.system((tx: Tx<MessagingTables>) =>
    tx
      .insertInto("messaging_log")
      .values({ log_id: id })
      .onConflict((conflict) => conflict.doNothing())
      .returning("log_id")
      .executeTakeFirst(),
  );
  return inserted !== undefined;
}
