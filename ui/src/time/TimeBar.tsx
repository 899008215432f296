// Which time the page looks at, and how often it looks again.
import { Popover } from "@mantine/core";
import { IconCalendarTime, IconChevronLeft, IconChevronRight, IconRefresh, IconZoomOut } from "@tabler/icons-react";
import { useId, useState } from "react";
import { PRESETS, parseSpan, parseTime, showSpan, type View } from "./range";
import { showTime, useZone } from "./zone";

interface Props {
  view: View;
  onView: (view: View) => void;
  refresh: number;
  onRefresh: (seconds: number) => void;
  onNow: () => void;
  busy: boolean;
}

const REFRESHES = [0, 5, 10, 30, 60, 300];

export function TimeBar({ view, onView, refresh, onRefresh, onNow, busy }: Props) {
  const zone = useZone();
  const [open, setOpen] = useState(false);
  const shift = (by: number) => {
    const now = Date.now() / 1000;
    const end = (view.end ?? now) + by * view.span;
    onView(end >= now ? { span: view.span } : { span: view.span, end });
  };
  const text = view.end === undefined ? `Last ${showSpan(view.span)}` : `${showTime(view.end - view.span, zone).slice(5, 16)} – ${showTime(view.end, zone).slice(5, 16)}`;
  return (
    <div className="row timebar">
      <button type="button" className="btn icon" aria-label="Earlier" title="Earlier" onClick={() => shift(-0.5)}>
        <IconChevronLeft size={16} aria-hidden />
      </button>
      <Popover opened={open} onChange={setOpen} position="bottom-start" shadow="md" withinPortal trapFocus>
        <Popover.Target>
          <button type="button" className="btn num" aria-expanded={open} aria-haspopup="dialog" onClick={() => setOpen(!open)}>
            <IconCalendarTime size={16} aria-hidden />
            {text}
          </button>
        </Popover.Target>
        <Popover.Dropdown p={14} style={{ maxWidth: "calc(100vw - 24px)" }}>
          {open && (
            <Chooser
              view={view}
              onView={(next) => {
                setOpen(false);
                onView(next);
              }}
            />
          )}
        </Popover.Dropdown>
      </Popover>
      <button type="button" className="btn icon" aria-label="Later" title="Later" disabled={view.end === undefined} onClick={() => shift(0.5)}>
        <IconChevronRight size={16} aria-hidden />
      </button>
      <button type="button" className="btn icon" aria-label="Zoom out" title="Zoom out" onClick={() => onView(zoomedOut(view))}>
        <IconZoomOut size={16} aria-hidden />
      </button>
      <div className="joined">
        <button type="button" className="btn icon" aria-label="Ask again" title="Ask again" onClick={onNow}>
          <IconRefresh size={16} aria-hidden className={busy ? "spin" : ""} />
        </button>
        <select className="field" aria-label="Refresh" value={refresh} onChange={(event) => onRefresh(Number(event.target.value))}>
          {REFRESHES.map((every) => (
            <option key={every} value={every}>{every === 0 ? "Off" : showSpan(every)}</option>
          ))}
        </select>
      </div>
    </div>
  );
}

export function zoomedOut(view: View): View {
  const now = Date.now() / 1000;
  if (view.end === undefined) return { span: view.span * 2 };
  const end = view.end + view.span / 2;
  return end >= now ? { span: view.span * 2 } : { span: view.span * 2, end };
}

function Chooser({ view, onView }: { view: View; onView: (view: View) => void }) {
  const zone = useZone();
  const now = Date.now() / 1000;
  const end = view.end ?? now;
  const [from, setFrom] = useState(view.end === undefined ? `now-${showSpan(view.span)}` : showTime(end - view.span, zone));
  const [to, setTo] = useState(view.end === undefined ? "now" : showTime(end, zone));
  const [span, setSpan] = useState("");
  const [wrong, setWrong] = useState("");
  const id = useId();
  const absolute = () => {
    const [start, stop] = [parseTime(from, zone === "utc", now), parseTime(to, zone === "utc", now)];
    if (start === undefined || stop === undefined) setWrong(`${start === undefined ? "From" : "To"} is no time. Write 2026-11-22 14:00, now-3h, or seconds since 1970.`);
    else if (stop <= start) setWrong("To has to lie after From.");
    else onView(to.trim() === "now" ? { span: stop - start } : { span: stop - start, end: stop });
  };
  return (
    <div className="chooser">
      <div className="presets">
        {PRESETS.map((preset) => (
          <button key={preset} type="button" className={`btn sm ${view.end === undefined && showSpan(view.span) === showSpan(parseSpan(preset) ?? 0) ? "on" : "quiet"}`} onClick={() => onView({ span: parseSpan(preset) as number })}>
            Last {preset}
          </button>
        ))}
        <form
          onSubmit={(event) => {
            event.preventDefault();
            const seconds = parseSpan(span);
            if (seconds === undefined) setWrong("A length is a number and a unit: 90m, 36h, 10d.");
            else onView({ span: seconds });
          }}
        >
          <input className="field" placeholder="Last … 36h" aria-label="Length of your own" value={span} onChange={(event) => setSpan(event.target.value)} style={{ width: 104, height: 28 }} />
        </form>
      </div>
      <form
        className="stack tight"
        onSubmit={(event) => {
          event.preventDefault();
          absolute();
        }}
      >
        <label htmlFor={`${id}from`} className="small">From</label>
        <input id={`${id}from`} className="field mono" value={from} onChange={(event) => setFrom(event.target.value)} />
        <label htmlFor={`${id}to`} className="small">To</label>
        <input id={`${id}to`} className="field mono" value={to} onChange={(event) => setTo(event.target.value)} />
        <div className="row">
          <button type="submit" className="btn primary">Show</button>
          <span className="dim small">{zone === "utc" ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone}</span>
        </div>
        {wrong && <p className="bad small" role="alert">{wrong}</p>}
      </form>
    </div>
  );
}
