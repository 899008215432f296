// Tokens that see a part of the store, and pictures of graphs for customers' own pages.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { address, ApiError, authorized, data, post } from "../api/client";
import { Ago } from "../parts/ago";
import { CopyButton, Empty, Note, Problem, Snippet, Wait } from "../parts/state";

interface Token {
  id: string;
  name: string;
  rights: string[];
  matchers: string;
  maxAge: string | null;
  expiresAt: string | null;
  createdAt: string;
  lastUsedAt: string | null;
  token?: string;
}

const RIGHTS = ["read", "graph", "write", "status", "admin"];

export default function Tokens() {
  const client = useQueryClient();
  const list = useQuery({ queryKey: ["tokens"], queryFn: ({ signal }) => data<{ tokens: Token[] }>("/api/v1/admin/tokens", {}, { signal }), retry: false });
  const [made, setMade] = useState<Token>();
  const revoke = useMutation({ mutationFn: (id: string) => authorizedPost(`/api/v1/admin/tokens/${encodeURIComponent(id)}/revoke`), onSettled: () => client.invalidateQueries({ queryKey: ["tokens"] }) });
  const refused = list.error instanceof ApiError && (list.error.status === 401 || list.error.status === 403);
  return (
    <>
      <div className="bench">
        <Maker onMade={(token) => { setMade(token); void client.invalidateQueries({ queryKey: ["tokens"] }); }} />
        <Picture token={made?.token ?? ""} />
      </div>
      <section className="card" aria-label="Tokens">
        <header><h2>Tokens</h2></header>
        {refused ? (
          <div className="body"><Note kind="info"><div className="what">Tokens are made by administrators</div><div className="next">Use a token with the right admin (the key symbol at the top), or make one from the terminal: weir token --help</div></Note></div>
        ) : list.error ? (
          <div className="body"><Problem error={list.error} what="The tokens could not be listed." /></div>
        ) : !list.data ? (
          <Wait height={120} />
        ) : list.data.tokens.length === 0 ? (
          <Empty title="No token yet"><p>One for each customer or program, with no more rights than it needs.</p></Empty>
        ) : (
          <div className="scroll-x"><table className="plain">
            <thead><tr><th>Name</th><th>Rights</th><th>Sees</th><th>Made</th><th>Used</th><th>Ends</th><th><span className="sr">Revoke</span></th></tr></thead>
            <tbody>
              {list.data.tokens.map((token) => (
                <tr key={token.id}>
                  <td><b>{token.name}</b><div className="dim small mono">{token.id}</div></td><td>{token.rights.join(", ")}</td><td className="mono wrapped">{token.matchers || "everything"}{token.maxAge && `, the last ${token.maxAge}`}</td>
                  <td><Ago at={token.createdAt} /></td><td><Ago at={token.lastUsedAt} /></td><td>{token.expiresAt ? <Ago at={token.expiresAt} /> : "never"}</td>
                  <td><button type="button" className="btn sm" disabled={revoke.isPending} onClick={() => revoke.mutate(token.id)}>Revoke</button></td>
                </tr>
              ))}
            </tbody>
          </table></div>
        )}
      </section>
    </>
  );
}

async function authorizedPost(path: string) {
  const answer = await authorized(address(path), { method: "POST" });
  if (!answer.ok) throw new ApiError(answer.status, "http", await answer.text());
}

function Maker({ onMade }: { onMade: (token: Token) => void }) {
  const [name, setName] = useState("");
  const [rights, setRights] = useState<string[]>(["graph"]);
  const [matchers, setMatchers] = useState("");
  const [maxAge, setMaxAge] = useState("");
  const [ttl, setTtl] = useState("90d");
  const make = useMutation({
    mutationFn: async () => (await post<{ data: Token }>("/api/v1/admin/tokens", { name, rights, ...(matchers ? { matchers } : {}), ...(maxAge ? { maxAge } : {}), ...(ttl ? { ttl } : {}) })).data,
    onSuccess: onMade,
  });
  return (
    <form className="card form" onSubmit={(event) => { event.preventDefault(); make.mutate(); }}>
      <label>For whom<input className="field" required value={name} placeholder="customer 42" onChange={(event) => setName(event.target.value)} /></label>
      <fieldset style={{ border: 0, padding: 0, margin: 0 }}>
        <legend className="small soft" style={{ padding: "0 0 4px" }}>May</legend>
        <div className="row wrap">{RIGHTS.map((right) => <button key={right} type="button" className="btn sm" aria-pressed={rights.includes(right)} onClick={() => setRights(rights.includes(right) ? rights.filter((one) => one !== right) : [...rights, right])}>{right}</button>)}</div>
      </fieldset>
      <label>Sees only series that match; empty: all<input className="field mono" value={matchers} placeholder={'{customer="42"}'} onChange={(event) => setMatchers(event.target.value)} /></label>
      <div className="pair-of">
        <label>Sees only the last<input className="field mono" value={maxAge} placeholder="all" onChange={(event) => setMaxAge(event.target.value)} /></label>
        <label>Ends after<input className="field mono" value={ttl} placeholder="never" onChange={(event) => setTtl(event.target.value)} /></label>
      </div>
      <div><button type="submit" className="btn primary" disabled={make.isPending || rights.length === 0}>Make the token</button></div>
      {make.error && <Problem error={make.error} what="The token was not made." />}
      {make.data?.token && (
        <Note kind="good">
          <div className="what">Copy it now: it is shown this once</div>
          <div className="row"><code className="wrapped grow">{make.data.token}</code><CopyButton text={make.data.token} /></div>
        </Note>
      )}
    </form>
  );
}

const escapeHtml = (text: string) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

function Picture({ token }: { token: string }) {
  const [expr, setExpr] = useState("sum by (job) (rate(prometheus_remote_storage_samples_total[5m]))");
  const [range, setRange] = useState("6h");
  const [theme, setTheme] = useState("light");
  const [title, setTitle] = useState("");
  const [picture, setPicture] = useState<{ url?: string; error?: string }>({});
  const query = useMemo(() => ({ expr, range, width: 800, height: 300, theme, title }), [expr, range, theme, title]);
  useEffect(() => {
    const stop = new AbortController();
    let url = "";
    const timer = setTimeout(async () => {
      try {
        const answer = await authorized(address("/graph.svg", query), { signal: stop.signal });
        if (!answer.ok) throw new Error((await answer.text()).trim());
        url = URL.createObjectURL(await answer.blob());
        setPicture({ url });
      } catch (error) {
        if (!stop.signal.aborted) setPicture({ error: error instanceof Error ? error.message : String(error) });
      }
    }, 400);
    return () => {
      clearTimeout(timer);
      stop.abort();
      if (url) URL.revokeObjectURL(url);
    };
  }, [query]);
  const src = address("/graph.svg", { ...query, token: token || "TOKEN" });
  return (
    <section className="card" aria-label="Picture">
      <header><h2>A picture for their page</h2></header>
      <div className="form">
        <label>Expression<textarea className="field" rows={2} value={expr} onChange={(event) => setExpr(event.target.value)} spellCheck={false} /></label>
        <div className="pair-of">
          <label>Range<select className="field" value={range} onChange={(event) => setRange(event.target.value)}>{["1h", "6h", "1d", "7d", "30d"].map((one) => <option key={one}>{one}</option>)}</select></label>
          <label>Colours<select className="field" value={theme} onChange={(event) => setTheme(event.target.value)}><option>light</option><option>dark</option></select></label>
        </div>
        <label>Title<input className="field" value={title} onChange={(event) => setTitle(event.target.value)} /></label>
        {picture.error ? <Note kind="info">{picture.error}</Note> : picture.url ? <img className="preview" src={picture.url} alt={`Preview: ${title || expr}`} width={800} height={300} style={{ height: "auto", aspectRatio: "8 / 3" }} /> : <Wait height={220} />}
        <span className="small soft">The line for their page</span>
        <Snippet text={`<img src="${escapeHtml(src)}"\n     width="800" height="300" alt="${escapeHtml(title || expr)}">`} />
      </div>
    </section>
  );
}
