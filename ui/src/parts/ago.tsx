// How long ago, with the exact time on hover.
import { useEffect, useState } from "react";
import { showSpan } from "../time/range";
import { instant, showTime, useZone } from "../time/zone";

/** The time of day, again every so many seconds. */
export function useNow(every = 5): number {
  const [now, setNow] = useState(() => Date.now() / 1000);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() / 1000), every * 1000);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

export function Ago({ at }: { at: number | string | undefined | null }) {
  const zone = useZone();
  const now = useNow();
  const seconds = typeof at === "string" ? instant(at) : (at ?? undefined);
  if (seconds === undefined) return <span className="dim">never</span>;
  const past = now - seconds;
  return (
    <time className="num" dateTime={new Date(seconds * 1000).toISOString()} title={showTime(seconds, zone, true)}>
      {past < 1.5 && past > -5 ? "just now" : past < 0 ? `in ${showSpan(Math.round(-past))}` : `${showSpan(Math.round(past))} ago`}
    </time>
  );
}
