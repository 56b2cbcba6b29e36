/**
 * Effects that happen once, though messages may come twice: the effect and a row that says that the message was
 * handled are one transaction, and the ack comes after it. Whoever dies between commit and ack is given the message
 * again, finds the row, and only acknowledges.
 *
 * Works with `pg` and whatever looks like it. A message is known by its id; in topics below `fsync` ids may be given
 * again after a crash, so name it by something of its own there (`identify`).
 */

/** A connection inside of a transaction. `rowCount` is the number of rows that a statement changed. */
export interface InboxTransaction {
  query(text: string, values?: unknown[]): Promise<{ rowCount: number | null }>;
}

export interface InboxClient extends InboxTransaction {
  release(error?: Error): void;
}

/** What `new pg.Pool()` is. */
export interface InboxPool<Client extends InboxClient = InboxClient> {
  connect(): Promise<Client>;
}

/** What a message must have to be handled; both consumers' messages do. */
export interface Handleable {
  readonly messageId: string;
  ack(): Promise<void>;
  nack(options?: { delayMs?: number; reason?: string }): Promise<void>;
}

export interface InboxOptions<Message extends Handleable> {
  /** Whose inbox: messages are handled once for each name. */
  consumer: string;
  /** Default "hotswap_inbox". */
  table?: string;
  /** What tells the message from all others. Default: its id. */
  identify?: (message: Message) => string;
}

export class Inbox<Client extends InboxClient, Message extends Handleable = Handleable> {
  readonly #pool: InboxPool<Client>;
  readonly #options: Required<InboxOptions<Message>>;

  constructor(pool: InboxPool<Client>, options: InboxOptions<Message>) {
    this.#pool = pool;
    this.#options = { table: "hotswap_inbox", identify: ({ messageId }) => messageId, ...options };
    if (!/^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$/.test(this.#options.table)) {
      throw new TypeError("the table must be a plain name, with its schema before a dot if need be");
    }
  }

  /** For a migration. Repeating it is harmless. */
  get sql(): string {
    return (
      `create table if not exists ${this.#options.table} (consumer text not null, message text not null, ` +
      "handled_at timestamptz not null default now(), primary key (consumer, message))"
    );
  }

  /**
   * Runs the effect in a transaction unless it has been done, and acknowledges. Resolves to false when the message
   * had been handled before. When the effect throws, nothing of it stays, the message is given back, and the error
   * is thrown on.
   */
  async handle(message: Message, effect: (tx: Client, message: Message) => Promise<void>): Promise<boolean> {
    const client = await this.#pool.connect();
    let isFirst: boolean;
    try {
      await client.query("begin");
      isFirst = await this.enter(client, message);
      if (isFirst) await effect(client, message);
      await client.query("commit");
    } catch (error) {
      // A connection that cannot even roll back is broken, and the server rolls back for it.
      const broken = await client.query("rollback").then(
        () => undefined,
        (failure: Error) => failure,
      );
      client.release(broken);
      await message.nack({ reason: reasonOf(error) }).catch(() => {}); // else it comes back at its deadline
      throw error;
    }
    client.release();
    await message.ack();
    return isFirst;
  }

  /** For a transaction of your own: false when the message has been handled. Acknowledge after the commit. */
  async enter(tx: InboxTransaction, message: Message): Promise<boolean> {
    const { table, consumer, identify } = this.#options;
    const text = `insert into ${table} (consumer, message) values ($1, $2) on conflict do nothing`;
    return (await tx.query(text, [consumer, identify(message)])).rowCount === 1;
  }

  /** Forgets what was handled longer ago than a message can come again. Resolves to how many rows went. */
  async prune(tx: InboxTransaction, olderThanSeconds: number): Promise<number> {
    const { table, consumer } = this.#options;
    const text = `delete from ${table} where consumer = $1 and handled_at < now() - make_interval(secs => $2)`;
    return (await tx.query(text, [consumer, olderThanSeconds])).rowCount ?? 0;
  }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, 1024);
