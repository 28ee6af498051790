import { defineConfig } from "vite";

// One page below /graphql. Names carry a hash of the content, so that the server may tell browsers to keep them for good.
export default defineConfig({
  base: "/graphql/assets/",
  logLevel: "error",
  build: {
    outDir: "assets",
    assetsDir: ".",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 10_000,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  server: { proxy: { "^/graphql(/personas)?$": "http://127.0.0.1:8000" } },
});
