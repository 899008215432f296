import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Everything is addressed relative to the page: it works below whatever path a proxy puts it.
export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    outDir: "dist",
    target: "es2022",
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: Object.fromEntries(["/api", "/metrics", "/graph.svg", "/-/"].map((path) => [path, process.env["WEIR"] ?? "http://127.0.0.1:8488"])) },
});
