import "./look/layers.css";
import "@mantine/core/styles/baseline.layer.css";
import "@mantine/core/styles/default-css-variables.layer.css";
import "@mantine/core/styles/global.layer.css";
import "@mantine/core/styles/Popover.layer.css";
import "./look/tokens.css";
import "./look/base.css";
import "./look/shell.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";
import { ApiError, prefix } from "./api/client";
import { App } from "./app/App";
import { loadTheOthers } from "./app/load";
import { theme } from "./app/theme";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      // What is wrong with a request stays wrong; what is busy or away is asked again.
      retry: (failures, error) => failures < 3 && error instanceof ApiError && (error.kind === "network" || error.kind === "unavailable"),
      retryDelay: (failures) => 500 * 2 ** failures,
    },
  },
});

/** Draws the page; the file of the first one is there. */
export function start() {
  createRoot(document.getElementById("root") as HTMLElement).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto">
        <QueryClientProvider client={client}>
          <Router base={`${prefix}/ui`}>
            <App />
          </Router>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
  loadTheOthers();
}
