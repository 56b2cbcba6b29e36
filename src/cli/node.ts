/** `hotswap node …`: the broker nodes and how they are. */
import type { Command } from "commander";
import type { BrokerNode } from "../../client/src/index.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { byteText, printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addNode(program: Command): void {
  const group = program.command("node").description("list the broker nodes, and look at one");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");

  add("list", "list the nodes that run, and for an hour those that have gone").action((flags: Flags) =>
    useServer(flags, async ({ system }) => show(await system.nodes(), flags.json)),
  );
  add("get <id>", "show one node, and what is wrong with it").action((id: string, flags: Flags) =>
    useServer(flags, async ({ system }) => {
      const node = await system.node(id);
      show([node], flags.json);
      for (const complaint of node.complaints) process.stderr.write(`${node.name}: ${complaint}\n`);
    }),
  );
}

function show(nodes: BrokerNode[], json: boolean | undefined): void {
  if (json) {
    printJson(nodes.length === 1 ? nodes[0] : nodes);
    return;
  }
  const rows = nodes.map(({ name, status, isHealthy, health, address, id }) => [
    name,
    status,
    isHealthy ? "healthy" : "not well",
    health.topics,
    health.queueDepth,
    health.consumers,
    `${Math.round(health.cpuShare * 100)} %`,
    byteText(health.memoryBytes),
    address,
    id,
  ]);
  const head = [
    "NAME",
    "STATUS",
    "HEALTH",
    "TOPICS",
    "WAITING",
    "CONSUMERS",
    "CPU",
    "MEMORY",
    "ADDRESS",
    "ID",
  ];
  printTable(head, rows);
}
