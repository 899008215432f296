import { defineConfig } from "vitest/config";

// Only logic runs here, without a browser; style sheets are empty.
export default defineConfig({ test: { include: ["tests/unit/**/*.test.ts"], css: false, setupFiles: ["tests/unit/browser.ts"] } });
