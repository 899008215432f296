import { useMantineColorScheme } from "@mantine/core";
import { IconClock, IconKey, IconMenu2, IconMoon, IconSearch, IconSun, IconSunMoon } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";
import { Link, useLocation } from "wouter";
import { ApiError, ask, data } from "../api/client";
import type { Alert } from "../api/types";
import { TokenDialog } from "../parts/state";
import { setZone, useZone } from "../time/zone";
import { Palette } from "./Palette";
import { pages } from "./pages";

const SCHEMES = { auto: ["light", IconSunMoon, "follows the system"], light: ["dark", IconSun, "light"], dark: ["auto", IconMoon, "dark"] } as const;

export function Shell({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false);
  const [finding, setFinding] = useState(false);
  const [asksToken, setAsksToken] = useState(false);
  const [path, go] = useLocation();
  const client = useQueryClient();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const zone = useZone();
  const [nextScheme, SchemeIcon, schemeName] = SCHEMES[colorScheme];

  // biome-ignore lint: the rail closes when the page changes, and only then
  useEffect(() => setOpen(false), [path]);
  useEffect(() => {
    const unauthorized = () => setAsksToken(true);
    window.addEventListener("weir:unauthorized", unauthorized);
    return () => window.removeEventListener("weir:unauthorized", unauthorized);
  }, []);
  useEffect(() => {
    let lead = 0;
    const key = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        setFinding((now) => !now);
        return;
      }
      const at = event.target as HTMLElement | null;
      if (at?.closest("input, textarea, select, [contenteditable=true], [role=dialog]") || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        const editor = document.querySelector<HTMLElement>(".cm-content, .content input.field");
        if (editor) {
          event.preventDefault();
          editor.focus();
        }
      } else if (event.key === "g") lead = Date.now();
      else if (Date.now() - lead < 1200) {
        lead = 0;
        const page = pages.find((page) => page.key === event.key);
        if (page) go(`/${page.path}`);
      }
    };
    window.addEventListener("keydown", key);
    return () => window.removeEventListener("keydown", key);
  }, [go]);

  return (
    <div className="shell" data-open={open}>
      <a className="skip btn" href="#content">Skip to the content</a>
      <Rail />
      <button type="button" className="veil" aria-label="Close the menu" onClick={() => setOpen(false)} />
      <div className="main">
        <header className="topbar">
          <button type="button" className="btn quiet icon menu" aria-label="Open the menu" aria-expanded={open} onClick={() => setOpen(true)}>
            <IconMenu2 size={20} aria-hidden />
          </button>
          <button type="button" className="btn find" onClick={() => setFinding(true)} aria-keyshortcuts="Control+K">
            <IconSearch size={15} aria-hidden />
            <span className="clip">Find a page, a metric, an alert</span>
            <kbd>Ctrl K</kbd>
          </button>
          <span className="space" />
          <button type="button" className="btn quiet" onClick={() => setZone(zone === "utc" ? "local" : "utc")} title={zone === "utc" ? "Times are in UTC" : `Times are in ${Intl.DateTimeFormat().resolvedOptions().timeZone}`}>
            <IconClock size={16} aria-hidden />
            <span className={zone === "utc" ? "" : "zone-name"}>{zone === "utc" ? "UTC" : "Local"}</span>
            <span className="sr">{zone === "utc" ? "" : "Local"} time; press to switch</span>
          </button>
          <button type="button" className="btn quiet icon" onClick={() => setColorScheme(nextScheme)} aria-label={`Colours: ${schemeName}`} title={`Colours: ${schemeName}`}>
            <SchemeIcon size={18} aria-hidden />
          </button>
          <button type="button" className="btn quiet icon" onClick={() => setAsksToken(true)} aria-label="Set a token" title="Set a token">
            <IconKey size={17} aria-hidden />
          </button>
        </header>
        <Starting />
        <main className="content" id="content">{children}</main>
      </div>
      {finding && <Palette onClose={() => setFinding(false)} />}
      {asksToken && (
        <TokenDialog
          onDone={() => {
            setAsksToken(false);
            void client.invalidateQueries();
          }}
        />
      )}
    </div>
  );
}

function Rail() {
  const [path] = useLocation();
  const alerts = useQuery({
    queryKey: ["alerts"],
    queryFn: ({ signal }) => data<{ alerts: Alert[] }>("/api/v1/alerts", {}, { signal }),
    refetchInterval: 15_000,
  });
  const build = useQuery({
    queryKey: ["build"],
    queryFn: ({ signal }) => data<Record<string, string>>("/api/v1/status/buildinfo", {}, { signal }),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const firing = alerts.data?.alerts.filter((alert) => alert.state === "firing").length ?? 0;
  const groups = [...new Set(pages.map((page) => page.group))];
  return (
    <nav className="rail" aria-label="Pages">
      <Link href="/query" className="brand">
        <img src="./weir.svg" alt="" />
        Weir
      </Link>
      {groups.map((group) => (
        <div key={group}>
          <h2>{group}</h2>
          {pages.filter((page) => page.group === group).map((page) => (
            <Link key={page.path} href={`/${page.path}`} className="to" aria-current={path === `/${page.path}` ? "page" : undefined} title={`g ${page.key}`}>
              <page.icon size={17} stroke={1.7} />
              {page.title}
              {page.path === "alerts" && firing > 0 && (
                <span className="tell" title={`${firing} firing`}>{firing}</span>
              )}
            </Link>
          ))}
        </div>
      ))}
      <footer>
        <span>Weir {build.data?.["productVersion"] ?? ""}</span>
        <span>API of Prometheus {build.data?.["version"] ?? ""}</span>
      </footer>
    </nav>
  );
}

/** While Weir reads its log back, everything else answers 503: say how far it is instead. */
function Starting() {
  const state = useQuery({
    queryKey: ["starting"],
    queryFn: async ({ signal }) => {
      try {
        await ask("/api/v1/status/buildinfo", {}, { signal });
        return null;
      } catch (error) {
        if (!(error instanceof ApiError) || error.kind !== "unavailable") return null;
        const replay = await data<{ max: number; current: number }>("/api/v1/status/walreplay", {}, { signal }).catch(() => undefined);
        return { why: error.message, ...replay };
      }
    },
    refetchInterval: (query) => (query.state.data ? 1000 : 30_000),
  });
  if (!state.data) return null;
  const { why, max = 0, current = 0 } = state.data;
  return (
    <div className="banner" role="status">
      Weir is not ready yet: {why}
      {max > 0 && ` (${Math.floor((100 * current) / max)} % read back)`}
    </div>
  );
}
