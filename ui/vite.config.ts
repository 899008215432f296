import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** What finds out which page is wanted, before anything else is here. */
const BOOT = /\/src\/(boot|app\/load)|preload-helper/;
/** What the frame and every page need: one file, since each costs a request. */
const FRAME = /\/src\/(main|look|app|api|parts|time\/(range|zone))|\/node_modules\/(react|react-dom|scheduler|wouter|regexparam|use-sync-external-store|@tanstack\/(react-query|query-core)|@tabler)\//;

/**
 * Names the frame's files and the letters in the head, so that they are fetched while the page is still read.
 */
const early: Plugin = {
  name: "weir:early",
  transformIndexHtml: {
    order: "post",
    handler(_, { bundle }) {
      return Object.keys(bundle ?? {}).flatMap((file) => {
        const attrs = { href: `./${file}`, crossorigin: true };
        if (/\/frame-[^/]*\.js$/.test(file)) return [{ tag: "link", attrs: { rel: "modulepreload", ...attrs } }];
        if (/\/frame-[^/]*\.css$/.test(file)) return [{ tag: "link", attrs: { rel: "stylesheet", ...attrs } }];
        if (/\.woff2$/.test(file)) return [{ tag: "link", attrs: { rel: "preload", as: "font", type: "font/woff2", ...attrs } }];
        return [];
      });
    },
  },
};

// Everything is addressed relative to the page: it works below whatever path a proxy puts it.
export default defineConfig({
  base: "./",
  plugins: [react(), early],
  build: {
    outDir: "dist",
    target: "es2022",
    assetsInlineLimit: 0,
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: "boot", test: BOOT, priority: 1 }, { name: "frame", test: FRAME }] } } },
  },
  server: { proxy: Object.fromEntries(["/api", "/metrics", "/graph.svg", "/-/"].map((path) => [path, process.env["WEIR"] ?? "http://127.0.0.1:8488"])) },
});
