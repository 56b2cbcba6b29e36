/**
 * The long form of test/nodes/crash.test.ts, for nights: real nodes over a real PostgreSQL and Redis, of which one
 * after the other is stopped, killed, or frozen, or Redis is killed, in an order that the seed gives, always under
 * load.
 *
 *     ROUNDS=100 SEED=1 node test/sim/nodes.ts
 *
 * Ends with 1 at the first verdict that is not sound. The seed gives the order of faults, not their moments.
 */
import { seededRandom } from "../../src/core/random.ts";
import type { Server } from "../e2e/hotswap.ts";
import { Farm } from "../nodes/farm.ts";
import { Load } from "../nodes/load.ts";

const rounds = Number(process.env.ROUNDS ?? 20);
const seed = Number(process.env.SEED ?? Math.floor(performance.timeOrigin) % 1_000_000);
const random = seededRandom(seed);
const topics = Array.from({ length: 12 }, (_, i) => `night-${i}`);
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text: string) => process.stdout.write(`${text}\n`);

const farm = await Farm.start(3);
let alive: Server[] = [...farm.nodes];
for (const name of topics) await farm.ok(alive[0]!, "POST", "/topics", { name, partitions: 2 });

const faults: Record<string, (victim: Server, others: Server[]) => Promise<void>> = {
  async stop(victim, others) {
    const stopped = victim.stop();
    await wait(500);
    alive = others;
    if ((await stopped) !== 0) throw new Error(`a node did not stop well:\n${victim.stderr}`);
  },
  async kill(victim, others) {
    alive = others;
    await victim.kill();
  },
  async freeze(victim, others) {
    process.kill(victim.facts.pid, "SIGSTOP");
    alive = others;
    await wait(1000 + random.number() * 8000);
    process.kill(victim.facts.pid, "SIGCONT");
    alive = [...others, victim];
  },
  async redis() {
    await farm.redis.kill();
    await wait(random.number() * 3000);
    await farm.redis.start();
  },
};
const names = Object.keys(faults);

say(`seed ${seed}, ${rounds} rounds`);
let isSound = true;
for (let round = 1; round <= rounds && isSound; round++) {
  while (alive.length < 3) alive.push(await farm.add());
  const load = new Load(farm, {
    topics,
    publishers: 12,
    consumers: 4,
    nodes: () => alive,
    callTimeoutMs: 30_000,
  });
  load.startConsumers();
  await load.more(300);
  const name = names[random.below(names.length)]!;
  const victim = alive[random.below(alive.length)]!;
  await faults[name]!(
    victim,
    alive.filter((node) => node !== victim),
  );
  const takeoverMs = Math.round(await load.everyTopic());
  await load.more(300);
  const verdict = await load.finish();
  const { lost, unexpected, duplicated, refused, unknown } = verdict;
  const isGentle = name !== "stop" || refused + unknown === 0;
  isSound = lost + unexpected + duplicated === 0 && isGentle;
  say(
    `${round} ${name.padEnd(6)} ${JSON.stringify({ takeoverMs, ...verdict })} ${isSound ? "" : "NOT SOUND"}`,
  );
}
await farm.close();
process.exit(isSound ? 0 : 1);
