/**
 * node:http and node:https, as Node has them (from 20.16 on). An `import` of node:http reads everything that it
 * exports, of which one is all of undici: a third of the time in which a command starts.
 */
export const http = process.getBuiltinModule("node:http");
export const https = process.getBuiltinModule("node:https");
