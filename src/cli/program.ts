/**
 * The command line as data: every command with its options and help, none of them run. Of the commands only the one
 * that is called is loaded, and its file loads what it needs when it runs, so that `hotswap topic list` waits for
 * nothing that it has no use for. For the help of `hotswap` itself, and for a name that is no command, all are.
 */
import { Command } from "commander";

export interface Manifest {
  version: string;
  description: string;
}

type Add = (program: Command, version: string) => void;

/** By group, in the order of the help. Each adds the command of its name. */
const groups: Readonly<Record<string, Readonly<Record<string, () => Promise<Add>>>>> = {
  "Server:": {
    dev: async () => (await import("./dev.ts")).addDev,
    start: async () => (await import("./start.ts")).addStart,
    demo: async () => (await import("./demo.ts")).addDemo,
    status: async () => (await import("./status.ts")).addStatus,
    node: async () => (await import("./node.ts")).addNode,
    doctor: async () => (await import("./doctor.ts")).addDoctor,
    routes: async () => (await import("./routes.ts")).addRoutes,
  },
  "Access:": {
    token: async () => (await import("./token.ts")).addToken,
    approval: async () => (await import("./approval.ts")).addApproval,
    audit: async () => (await import("./audit.ts")).addAudit,
  },
  "Gateway:": {
    gateway: async () => (await import("./gateway.ts")).addGateway,
    proxy: async () => (await import("./proxy.ts")).addProxy,
  },
  "Configuration:": {
    config: async () => (await import("./config.ts")).addConfig,
    instance: async () => (await import("./instance.ts")).addInstance,
  },
  "Deployments:": {
    deploy: async () => (await import("./deploy.ts")).addDeploy,
    deployment: async () => (await import("./deployment.ts")).addDeployment,
  },
  "Messages:": {
    topic: async () => (await import("./topic.ts")).addTopic,
    message: async () => (await import("./message.ts")).addMessage,
    schema: async () => (await import("./schema.ts")).addSchema,
    subscription: async () => (await import("./subscription.ts")).addSubscription,
    dlq: async () => (await import("./dlq.ts")).addDlq,
    pub: async () => (await import("./pub.ts")).addPub,
    sub: async () => (await import("./sub.ts")).addSub,
    bench: async () => (await import("./bench.ts")).addBench,
  },
};

/** With the command `called` alone, when there is one of this name. */
export async function createProgram({ version, description }: Manifest, called?: string): Promise<Command> {
  const program = new Command("hotswap")
    .description(description)
    .version(`hotswap ${version}`, "--version")
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: false })
    .enablePositionalOptions() // `hotswap deploy config NAME --version 7` asks for no version of HotSwap
    .showSuggestionAfterError()
    .showHelpAfterError("(see --help)")
    .exitOverride()
    .addHelpText(
      "after",
      "\nExit codes: 0 done, 1 failed, 2 not understood. Data goes to stdout, the rest to stderr.",
    );
  const isCommand = Object.values(groups).some(
    (commands) => called !== undefined && Object.hasOwn(commands, called),
  );
  const isOne = isCommand || called === "--version";
  for (const [group, commands] of Object.entries(groups)) {
    program.commandsGroup(group);
    for (const [name, load] of Object.entries(commands)) {
      if (!isOne || name === called) (await load())(program, version);
    }
  }
  return program;
}
