/** Handles one message and dies, as by `kill -9`, after the commit and before the ack. Started by inbox.test.ts. */
import pg from "pg";
import { connect, Inbox } from "../../client/src/node.ts";

const [url, token, database] = process.argv.slice(2) as [string, string, string];
const inbox = new Inbox(new pg.Pool({ connectionString: database }), { consumer: "adder" });
const client = connect({ url, token });
for await (const message of client.stream().consume<number>("sums", { subscription: "adder" })) {
  const doomed = {
    messageId: message.messageId,
    ack: async () => void process.kill(process.pid, "SIGKILL"),
    nack: () => message.nack(),
  };
  await inbox.handle(doomed, async (tx) => {
    await tx.query("update sums set total = total + $1", [message.payload]);
  });
}
