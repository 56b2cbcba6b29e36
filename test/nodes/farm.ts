/**
 * Several real `hotswap` processes over one PostgreSQL and one Redis that syncs always, as a user would run them.
 * The nodes know one another's tokens because they share the file of secrets, as the how-to says.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { type RedisServer, startRedisServer } from "../../src/stores/redis.server.ts";
import { type TestDatabase, testDatabase } from "../../src/stores/sql/testing.ts";
import { type Folder, Server, temporaryFolder, type Variables } from "../e2e/hotswap.ts";

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: JSON as it came
  json: any;
}

/** A refused or lost connection; `isSent` when the request may have arrived. */
export class Unreachable extends Error {
  readonly isSent: boolean;
  constructor(cause: unknown, isSent: boolean) {
    super("the node cannot be reached", { cause });
    this.isSent = isSent;
  }
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

export class Farm {
  readonly redis: RedisServer;
  readonly #database: TestDatabase;
  readonly #folder: Folder;
  readonly #env: Variables;
  readonly nodes: Server[] = [];
  token = "";

  private constructor(redis: RedisServer, database: TestDatabase, folder: Folder, env: Variables) {
    this.redis = redis;
    this.#database = database;
    this.#folder = folder;
    this.#env = env;
  }

  static async start(count: number, env: Variables = {}): Promise<Farm> {
    const redis = await startRedisServer(["--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    const farm = new Farm(redis, await testDatabase(), await temporaryFolder(), env);
    try {
      for (let i = 0; i < count; i++) await farm.add();
    } catch (error) {
      await farm.close();
      throw error;
    }
    return farm;
  }

  /** Starts one more node. */
  async add(): Promise<Server> {
    const index = this.nodes.length;
    const data = join(this.#folder.path, `node-${index}`);
    await mkdir(data, { recursive: true });
    if (index > 0) {
      for (const file of ["secrets.json", "secrets.json.key"]) {
        await copyFile(join(this.#folder.path, "node-0", file), join(data, file));
      }
    }
    const env = {
      HOTSWAP_SQL: this.#database.url,
      HOTSWAP_KV: this.redis.url,
      HOTSWAP_LOG: this.redis.url,
      HOTSWAP_NODES_NAME: `node-${index}`,
      HOTSWAP_TELEMETRY_LOG_LEVEL: "warn",
      HOTSWAP_MESSAGING_PUSH_PRIVATE_TARGETS: "true",
      ...this.#env,
    };
    const node = await Server.start({ data, env });
    this.nodes.push(node);
    this.token ||= node.facts.token;
    return node;
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.#database.close();
    await this.redis.stop();
    await this.#folder[Symbol.asyncDispose]();
  }

  /** A call to one node, below /api/v1. Rejects with `Unreachable` when there is no answer. */
  call(node: Server, method: string, path: string, body?: unknown, timeoutMs = 15_000): Promise<Answer> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return new Promise((resolve, reject) => {
      let isSent = false;
      const outgoing = request(
        new URL(`/api/v1${path}`, node.facts.api),
        {
          method,
          agent,
          timeout: timeoutMs,
          headers: {
            accept: "application/json",
            authorization: `Bearer ${this.token}`,
            ...(bytes && { "content-type": "application/json", "content-length": bytes.length }),
          },
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("error", (error) => reject(new Unreachable(error, true)));
          answer.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: answer.statusCode ?? 0, json: text ? JSON.parse(text) : undefined });
          });
        },
      );
      outgoing.on("socket", (socket) => {
        if (!socket.connecting) isSent = true;
        else socket.once("connect", () => (isSent = true));
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      outgoing.on("error", (error) => reject(new Unreachable(error, isSent)));
      outgoing.end(bytes);
    });
  }

  /** Resolves when each of the nodes serves some topics. */
  async balanced(nodes: readonly Server[]): Promise<void> {
    for (;;) {
      const serving = await Promise.all(
        nodes.map(async (node) => {
          const { items } = await this.ok(node, "GET", "/nodes");
          return items.find((item: { isSelf: boolean }) => item.isSelf)?.health.topics ?? 0;
        }),
      );
      if (serving.every((topics) => topics > 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async ok(node: Server, method: string, path: string, body?: unknown): Promise<Answer["json"]> {
    const answer = await this.call(node, method, path, body);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.json)}`);
    }
    return answer.json;
  }
}
