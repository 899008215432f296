// What stands where there is nothing, or where something went wrong: always with what to do next.
import { useFocusTrap } from "@mantine/hooks";
import { IconAlertTriangle, IconCheck, IconCircleX, IconCopy, IconInfoCircle } from "@tabler/icons-react";
import { type ReactNode, useEffect, useRef, useState } from "react";
import { ApiError, keepToken } from "../api/client";

export function Note({ kind, children }: { kind: "bad" | "warn" | "good" | "info"; children: ReactNode }) {
  const Icon = kind === "bad" ? IconCircleX : kind === "warn" ? IconAlertTriangle : kind === "good" ? IconCheck : IconInfoCircle;
  return (
    <div className={`note ${kind}`} role={kind === "bad" ? "alert" : undefined}>
      <Icon size={18} stroke={1.8} aria-hidden />
      <div className="grow wrapped">{children}</div>
    </div>
  );
}

/** What a failed request says, and what to do about it. */
export function Problem({ error, what, retry }: { error: unknown; what: string; retry?: () => void }) {
  const message = error instanceof Error ? error.message : String(error);
  return (
    <Note kind="bad">
      <div className="what">{what}</div>
      <div className="mono wrapped">{message}</div>
      <div className="next">{advice(error)}</div>
      {retry && (
        <button type="button" className="btn sm" style={{ marginTop: 8 }} onClick={retry}>
          Try again
        </button>
      )}
    </Note>
  );
}

export function advice(error: unknown): string {
  if (!(error instanceof ApiError)) return "This is a fault of the page. Reload it, and report what you did.";
  switch (error.kind) {
    case "network":
      return "The page keeps trying. Look at the log of the process, or at the proxy in between.";
    case "timeout":
      return "Ask for less: a shorter range, a longer step, more label matchers. The bound is `query.timeout`.";
    case "bad_data":
      return "What was asked for cannot be read: the text names the place.";
    case "execution":
      return "The expression parses, but cannot be evaluated as it stands.";
    case "unavailable":
      return "Weir is starting, stopping or too busy. The page tries again by itself.";
    case "not_found":
      return "Nothing is there under this name, or the feature is switched off.";
    default:
      return error.status === 401 || error.status === 403 ? "A token with more rights is needed: use the key symbol at the top." : "";
  }
}

export function Empty({ title, children, icon }: { title: string; children?: ReactNode; icon?: ReactNode }) {
  return (
    <div className="empty">
      {icon}
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** Room for what is on its way, as high as it will be. */
export function Wait({ height = 160 }: { height?: number }) {
  return <div className="shimmer" style={{ height }} aria-busy="true" aria-label="loading" role="status" />;
}

export async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https there is no clipboard API: select and copy as of old.
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const worked = document.execCommand("copy");
    area.remove();
    return worked;
  }
}

export function CopyButton({ text, label = "Copy", small = true }: { text: string | (() => string); label?: string; small?: boolean }) {
  const [done, setDone] = useState(false);
  const timer = useRef<number>(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const copy = async () => {
    if (await toClipboard(typeof text === "string" ? text : text())) {
      setDone(true);
      timer.current = window.setTimeout(() => setDone(false), 1400);
    }
  };
  return (
    <button type="button" className={`btn quiet icon${small ? " sm" : ""}`} onClick={copy} aria-label={done ? "Copied" : label} title={label}>
      {done ? <IconCheck size={16} aria-hidden /> : <IconCopy size={16} aria-hidden />}
    </button>
  );
}

export function Snippet({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <div className="snippet">
      {/* biome-ignore lint: a scrollable block has to be reachable by keyboard */}
      <pre tabIndex={0}>{text}</pre>
      <CopyButton text={text} label={label} />
    </div>
  );
}

/** Asks for a token once the API says 401; closes when one was given. */
export function TokenDialog({ onDone }: { onDone: () => void }) {
  const [text, setText] = useState("");
  const trap = useFocusTrap();
  return (
    <div className="veil-top">
      <form
        ref={trap}
        className="dialog"
        role="dialog"
        aria-modal="true"
        aria-labelledby="token-title"
        onSubmit={(event) => {
          event.preventDefault();
          keepToken(text.trim());
          onDone();
        }}
        onKeyDown={(event) => event.key === "Escape" && onDone()}
      >
        <h2 id="token-title">This Weir asks for a token</h2>
        <p className="soft">It is kept in this tab only, and sent as a bearer token to this server and nowhere else.</p>
        <label className="stack tight">
          <span className="small">Token</span>
          <input className="field mono" type="password" autoComplete="off" autoFocus value={text} onChange={(event) => setText(event.target.value)} />
        </label>
        <div className="row">
          <button type="submit" className="btn primary">Use it</button>
          <button type="button" className="btn quiet" onClick={onDone}>Not now</button>
        </div>
      </form>
    </div>
  );
}
