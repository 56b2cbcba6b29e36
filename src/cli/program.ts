/**
 * The command line as data: every command with its options and help, none of them run. Each command's file
 * loads what it needs when it runs, so that `hotswap topic list` does not wait for the server's code.
 */
import { Command } from "commander";
import { addAudit } from "./audit.ts";
import { addBench } from "./bench.ts";
import { addConfig } from "./config.ts";
import { addDemo } from "./demo.ts";
import { addDeploy } from "./deploy.ts";
import { addDeployment } from "./deployment.ts";
import { addDev } from "./dev.ts";
import { addDlq } from "./dlq.ts";
import { addDoctor } from "./doctor.ts";
import { addGateway } from "./gateway.ts";
import { addInstance } from "./instance.ts";
import { addNode } from "./node.ts";
import { addProxy } from "./proxy.ts";
import { addPub } from "./pub.ts";
import { addRoutes } from "./routes.ts";
import { addSchema } from "./schema.ts";
import { addStart } from "./start.ts";
import { addStatus } from "./status.ts";
import { addSub } from "./sub.ts";
import { addSubscription } from "./subscription.ts";
import { addToken } from "./token.ts";
import { addTopic } from "./topic.ts";

export interface Manifest {
  version: string;
  description: string;
}

export function createProgram({ version, description }: Manifest): Command {
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
  program.commandsGroup("Server:");
  addDev(program, version);
  addStart(program, version);
  addDemo(program, version);
  addStatus(program);
  addNode(program);
  addDoctor(program);
  addRoutes(program, version);
  program.commandsGroup("Access:");
  addToken(program);
  addAudit(program);
  program.commandsGroup("Gateway:");
  addGateway(program);
  addProxy(program);
  program.commandsGroup("Configuration:");
  addInstance(program);
  program.commandsGroup("Deployments:");
  addDeploy(program);
  addDeployment(program);
  addConfig(program);
  program.commandsGroup("Messages:");
  addTopic(program);
  addSchema(program);
  addSubscription(program);
  addDlq(program);
  addPub(program);
  addSub(program);
  addBench(program);
  return program;
}
