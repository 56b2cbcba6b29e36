/**
 * Ties the database and the message log to one another. The log's partitions are named by numbers that the
 * database gives out, so with another log, or another database, a topic would show foreign messages, and two
 * servers with a log each would both accept messages for the same offsets. The first start binds the two;
 * every later one refuses a stranger with `log_foreign`.
 */
import { HotSwapError } from "../core/errors.ts";
import type { MakeId } from "../core/ids.ts";
import type { LogStore } from "../stores/log/port.ts";
import type { Sql, Tx } from "../stores/sql/port.ts";
import type { MessagingTables } from "./tables.ts";

const partitionName = "identity";

export async function bindLog(sql: Sql, log: LogStore, makeId: MakeId): Promise<void> {
  const others = (await log.list()).filter((name) => name !== partitionName);
  const partition = await log.partition(partitionName);
  const [known] = partition.end > 0 ? await partition.read(0, { records: 1, bytes: 1 }) : [];
  const own = known?.body.toString();
  const bound = await sql.system((tx: Tx<MessagingTables>) =>
    tx.selectFrom("messaging_log").select("log_id").executeTakeFirst(),
  );
  if (bound) {
    if (bound.log_id !== own) throw new HotSwapError("log_foreign");
    return;
  }
  // A log that was used with a database that is gone: its numbers would be given out again.
  if (others.length > 0)
    throw new HotSwapError("log_foreign", "The message log was used with another database.");
  const id = own ?? makeId();
  if (!own) await partition.append([Buffer.from(id)], "fsync");
  const inserted = await sql.system((tx: Tx<MessagingTables>) =>
    tx
      .insertInto("messaging_log")
      .values({ log_id: id })
      .onConflict((conflict) => conflict.doNothing())
      .returning("log_id")
      .executeTakeFirst(),
  );
  if (!inserted)
    throw new HotSwapError("log_foreign", "Another server bound this database at the same moment.");
}
