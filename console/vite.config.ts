/**
 * Relative addresses: the console also works behind a proxy that adds a path. No asset is inlined, because
 * the page's policy (src/platform/http/static.ts) allows scripts and styles from files of this server only.
 */
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    assetsInlineLimit: 0,
    target: "es2023",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": process.env.HOTSWAP_URL ?? "http://127.0.0.1:7070" } },
});
