/**
 * A service that says hello as its configuration tells it, without a restart: GET http://127.0.0.1:8090/
 *
 *   node examples/configuration/service.ts [instance] [port]
 *
 * It takes the configurations of the service `greeter` in `development`. A document without a text in `greeting` is
 * refused, with the reason; what it runs is kept in .greeter, so that it starts with the server gone.
 */
import { createServer } from "node:http";
import { type ConfigDocument, connect, fileCache } from "../../client/src/node.ts";

const { HOTSWAP_URL: url = "http://127.0.0.1:7070", HOTSWAP_TOKEN: token, GREETER_KEY: key } = process.env;
const [instanceId = "greeter-1", port = "8090"] = process.argv.slice(2);

interface Greeting {
  greeting: string;
}

function greetingOf({ value }: Pick<ConfigDocument, "value">): string {
  const { greeting } = (value ?? {}) as Partial<Greeting>;
  if (typeof greeting !== "string" || greeting === "") throw new Error("greeting must be a text");
  return greeting;
}

const hotswap = connect({ url, token });
let greeting = "…";
const watcher = await hotswap.configuration({
  ...{ instanceId, service: "greeter", environment: "development" },
  cache: fileCache({ folder: `.greeter/${instanceId}`, key }),
  validate: (document) => void greetingOf(document), // asked before a version is approved
  onChange(document) {
    greeting = greetingOf(document);
    console.log(`version ${document.version}: ${greeting}`);
  },
  onError: (error) => console.error(String(error)),
});

const server = createServer((request, response) => {
  const isKnown = request.url === "/";
  response.writeHead(isKnown ? 200 : 404).end(isKnown ? `${greeting}\n` : undefined);
  watcher.count({ requests: 1, errors: 0, custom: { unknown: isKnown ? 0 : 1 } }); // a deployment is judged by these
});
server.listen(Number(port), "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  console.log(`listening on http://127.0.0.1:${port}`);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    server.close();
    await watcher.close(); // says goodbye: its silence is nobody's fault
    hotswap.close();
  });
}
