// Parts of a page's state in its address.
import { useCallback, useMemo } from "react";
import { useSearch } from "wouter";
import { navigate } from "wouter/use-browser-location";

/** `[values, set]`: missing parameters are empty; setting one to empty takes it out. Typing does not fill the history. */
export function useParams<Name extends string>(...names: Name[]): [Record<Name, string>, (part: Partial<Record<Name, string>>, push?: boolean) => void] {
  const search = useSearch();
  const key = names.join(" ");
  // biome-ignore lint: `key` stands for the names
  const values = useMemo(() => {
    const params = new URLSearchParams(search);
    return Object.fromEntries(names.map((name) => [name, params.get(name) ?? ""])) as Record<Name, string>;
  }, [search, key]);
  const set = useCallback((part: Partial<Record<Name, string>>, push = false) => {
    const params = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(part) as [string, string][]) {
      if (value) params.set(name, value);
      else params.delete(name);
    }
    const query = params.toString();
    navigate(`${location.pathname}${query ? `?${query}` : ""}`, { replace: !push });
  }, []);
  return [values, set];
}

/** Whether all words of `wanted` occur in one of the texts. */
export function matches(wanted: string, ...texts: (string | undefined)[]): boolean {
  const all = texts.join("\n").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

export const queryLink = (expr: string, tab = "graph") => `/query?g0.expr=${encodeURIComponent(expr)}&g0.tab=${tab}`;
