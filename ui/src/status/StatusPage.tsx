// What this Weir is, how it was set up, and what a new installation has not done yet.
import "./status.css";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { IconAlertTriangle, IconCircleCheck, IconCircleDashed, IconRefresh } from "@tabler/icons-react";
import { useMemo } from "react";
import { Link } from "wouter";
import { data, text } from "../api/client";
import { Ago } from "../parts/ago";
import { matches, useParams } from "../parts/search";
import { SearchField } from "../parts/SearchField";
import { CopyButton, Note, Problem, Snippet, Wait } from "../parts/state";
import { useChecks } from "./checks";

export default function StatusPage() {
  const runtime = useQuery({ queryKey: ["runtime"], queryFn: ({ signal }) => data<Record<string, string | number | boolean>>("/api/v1/status/runtimeinfo", {}, { signal }), refetchInterval: 10_000 });
  const build = useQuery({ queryKey: ["build"], queryFn: ({ signal }) => data<Record<string, string>>("/api/v1/status/buildinfo", {}, { signal }) });
  const config = useQuery({ queryKey: ["config"], queryFn: ({ signal }) => data<{ yaml: string }>("/api/v1/status/config", {}, { signal }) });
  return (
    <>
      <div className="page-head"><h1>Status</h1></div>
      <Checks />
      <div className="half">
        <div className="stack">
          <section className="card" aria-label="Program">
            <header><h2>Program</h2></header>
            {build.error ? <div className="body"><Problem error={build.error} what="The build could not be read." /></div> : !build.data ? <Wait height={180} /> : (
              <dl className="kv">
                <dt>Version</dt><dd>{build.data["product"] ?? "Weir"} {build.data["productVersion"]}</dd>
                <dt>API of</dt><dd>Prometheus {build.data["version"]}</dd>
                <dt>Commit</dt><dd className="mono">{build.data["revision"] || "unknown"} {build.data["branch"] && <span className="dim">on {build.data["branch"]}</span>}</dd>
                <dt>Built</dt><dd>{[build.data["buildDate"], build.data["buildUser"] && build.data["buildUser"] !== "unknown" && `by ${build.data["buildUser"]}`, build.data["goVersion"]].filter(Boolean).join(", ") || "unknown"}</dd>
                <dt>Host</dt><dd>{String(runtime.data?.["hostname"] ?? "–")}, {String(runtime.data?.["GOMAXPROCS"] ?? "–")} threads</dd>
                <dt>Started</dt><dd><Ago at={runtime.data?.["startTime"] as string | undefined} /></dd>
                <dt>Configured</dt><dd><Ago at={runtime.data?.["lastConfigTime"] as string | undefined} /></dd>
              </dl>
            )}
          </section>
          <Flags />
        </div>
        <section className="card" aria-label="Configuration">
          <header><h2 className="grow">Configuration as read</h2><Reload /><CopyButton text={config.data?.yaml ?? ""} label="Copy the configuration" /></header>
          {runtime.data?.["reloadConfigSuccess"] === false && <div className="body"><Note kind="bad"><div className="what">The last reload failed; this earlier configuration holds</div><div className="next">The log names the line. `weir check config FILE` finds the same.</div></Note></div>}
          {config.error ? <div className="body"><Problem error={config.error} what="The configuration could not be read." /></div> : config.data ? <pre className="config" tabIndex={0}>{config.data.yaml}</pre> : <Wait height={300} />}
        </section>
      </div>
    </>
  );
}

function Reload() {
  const client = useQueryClient();
  const reload = useMutation({
    mutationFn: () => postText("/-/reload"),
    onSettled: () => client.invalidateQueries(),
  });
  return (
    <>
      {reload.isSuccess && <span className="good small" role="status">read again</span>}
      {reload.error && <span className="bad small wrapped" role="alert">{reload.error.message}</span>}
      <button type="button" className="btn sm" disabled={reload.isPending} onClick={() => reload.mutate()}><IconRefresh size={15} aria-hidden />Reload</button>
    </>
  );
}

const postText = (path: string) => text(path, { method: "POST" });

function Flags() {
  const flags = useQuery({ queryKey: ["flags"], queryFn: ({ signal }) => data<Record<string, string>>("/api/v1/status/flags", {}, { signal }) });
  const [{ flag }, set] = useParams("flag");
  const shown = useMemo(() => Object.entries(flags.data ?? {}).filter(([name, value]) => matches(flag, name, value)), [flags.data, flag]);
  return (
    <section className="card" aria-label="Settings">
      <header><h2 className="grow">Settings that hold</h2><SearchField value={flag} onChange={(flag) => set({ flag })} placeholder="Search settings" /></header>
      {flags.error ? <div className="body"><Problem error={flags.error} what="Settings could not be read." /></div> : !flags.data ? <Wait height={200} /> : (
        <table className="plain"><tbody>
          {shown.map(([name, value]) => <tr key={name}><td className="mono">{name}</td><td className="mono wrapped">{value || <span className="dim">(empty)</span>}</td></tr>)}
          {shown.length === 0 && <tr><td className="dim">No setting is called that.</td></tr>}
        </tbody></table>
      )}
    </section>
  );
}

function Checks() {
  const checks = useChecks();
  const open = checks.filter((check) => check.state === "open").length;
  return (
    <section className="card" aria-label="Self-check">
      <header><h2>Self-check</h2><span className="dim small">{checks.some((check) => check.state === "asking") ? "looking …" : open === 0 ? "everything a new installation needs is done" : `${open} still to do`}</span></header>
      <div className="checks">
        {checks.map((check) => (
          <div className="check" key={check.title}>
            {check.state === "done" ? <IconCircleCheck size={20} color="var(--good)" aria-label="Done" /> : check.state === "open" ? <IconAlertTriangle size={20} color="var(--warn)" aria-label="To do" /> : <IconCircleDashed size={20} color="var(--ink-3)" aria-label="Not known" />}
            <div><b>{check.title}</b></div>
            <div className="why">{check.why}{check.state === "open" && check.link && <> <Link href={check.link.to}>{check.link.text}</Link></>}</div>
            {check.state === "open" && check.add && <Snippet text={check.add} />}
          </div>
        ))}
      </div>
    </section>
  );
}
