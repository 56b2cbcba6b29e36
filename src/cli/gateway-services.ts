/** `hotswap gateway service …`: instances of services that routes name as their backends. */
import type { Command } from "commander";
import type { ServiceInstance } from "../../client/src/index.ts";
import { integer } from "../platform/settings/kind.ts";
import { addConnectionOptions, type ConnectionFlags, useServer } from "./connection.ts";
import { read } from "./option-values.ts";
import { printJson, printTable } from "./print.ts";

type Flags = ConnectionFlags & { json?: boolean };

export function addGatewayServices(gateway: Command): void {
  const group = gateway
    .command("service")
    .description("list, register and take away instances of services, which routes name as backends");
  const add = (signature: string, description: string) =>
    addConnectionOptions(group.command(signature).description(description)).option("--json", "print JSON");
  add("list [service]", "list the instances of a service, or of all").action(
    (service: string | undefined, flags: Flags) =>
      useServer(flags, async (client) => {
        const of = service === undefined ? {} : { service };
        show(await Array.fromAsync(client.gateway.allServiceInstances(of)), flags.json);
      }),
  );
  add(
    "register <service> <url>",
    "register an instance; it stays for its time, or as long as it sends heartbeats",
  )
    .option("--id <id>", "the same one again brings it up to date")
    .option("--weight <number>", "beside the service's other instances", read(integer(0, 1000)))
    .option(
      "--ttl <time>",
      "after which it is gone when it is silent, such as 1h",
      read(integer(1, 86_400, "seconds")),
    )
    .action((service: string, url: string, flags: Flags & { id?: string; weight?: number; ttl?: number }) =>
      useServer(flags, async (client) => {
        const { id, weight, ttl } = flags;
        const made = await client.gateway.registerInstance(service, {
          url,
          ...(id !== undefined && { id }),
          ...(weight !== undefined && { weight }),
          ...(ttl !== undefined && { ttlSeconds: ttl }),
        });
        if (flags.json) printJson(made);
        else show([made], false);
      }),
    );
  add("deregister <service> <id>", "take an instance away; what it is answering it may finish").action(
    (service: string, id: string, flags: Flags) =>
      useServer(flags, async (client) => {
        await client.gateway.deregisterInstance(service, id);
        if (flags.json) printJson({ deregistered: id });
        else process.stderr.write(`instance ${id} of ${service} taken away\n`);
      }),
  );
}

function show(instances: ServiceInstance[], json: boolean | undefined): void {
  if (json) printJson(instances);
  else
    printTable(
      ["SERVICE", "INSTANCE", "URL", "WEIGHT", "GONE WITHOUT A HEARTBEAT AT"],
      instances.map(({ service, id, url, weight, expiresAt }) => [service, id, url, weight, expiresAt]),
    );
}
