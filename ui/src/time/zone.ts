// How times are shown: in the reader's zone or in UTC, everywhere the same.
import { useSyncExternalStore } from "react";

export type Zone = "local" | "utc";
const KEY = "weir.zone";
let zone: Zone = localStorage.getItem(KEY) === "utc" ? "utc" : "local";
const listeners = new Set<() => void>();

export function setZone(next: Zone) {
  zone = next;
  localStorage.setItem(KEY, next);
  for (const listener of listeners) listener();
}

export function useZone(): Zone {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => zone,
  );
}

const two = (number: number) => String(number).padStart(2, "0");

/** Year, month, ... of an instant in a zone. */
export function fields(seconds: number, zone: Zone) {
  const date = new Date(seconds * 1000);
  return zone === "utc"
    ? { y: date.getUTCFullYear(), mo: date.getUTCMonth() + 1, d: date.getUTCDate(), h: date.getUTCHours(), mi: date.getUTCMinutes(), s: date.getUTCSeconds(), ms: date.getUTCMilliseconds() }
    : { y: date.getFullYear(), mo: date.getMonth() + 1, d: date.getDate(), h: date.getHours(), mi: date.getMinutes(), s: date.getSeconds(), ms: date.getMilliseconds() };
}

/** `2026-11-22 14:03:05`, with thousandths where `fine`. */
export function showTime(seconds: number, zone: Zone, fine = false): string {
  if (!Number.isFinite(seconds)) return "–";
  const at = fields(seconds, zone);
  const tail = fine ? `.${String(at.ms).padStart(3, "0")}` : "";
  return `${at.y}-${two(at.mo)}-${two(at.d)} ${two(at.h)}:${two(at.mi)}:${two(at.s)}${tail}`;
}

/** `14:03:05` where it is of today, else with the date. */
export function showShort(seconds: number, zone: Zone): string {
  const full = showTime(seconds, zone);
  return full.slice(0, 10) === showTime(Date.now() / 1000, zone).slice(0, 10) ? full.slice(11) : full.slice(5, 16);
}

/** Seconds of an RFC 3339 text; `undefined` for none and for "never". */
export function instant(text: string | undefined): number | undefined {
  if (!text || text.startsWith("0001-")) return undefined;
  const millis = Date.parse(text);
  return Number.isNaN(millis) ? undefined : millis / 1000;
}
