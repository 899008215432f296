// What was asked, and what is worth asking again; kept in this browser only.
const KEYS = { history: "weir.history", favourites: "weir.favourites" } as const;
const KEPT = 200;

function load(key: keyof typeof KEYS): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEYS[key]) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

function save(key: keyof typeof KEYS, list: string[]) {
  try {
    localStorage.setItem(KEYS[key], JSON.stringify(list.slice(0, KEPT)));
  } catch {
    // A full or forbidden store: history is a comfort, not a need.
  }
}

export const history = () => load("history");
export const favourites = () => load("favourites");

export function remember(expr: string) {
  const text = expr.trim();
  if (text) save("history", [text, ...load("history").filter((one) => one !== text)]);
}

export function toggleFavourite(expr: string): boolean {
  const list = load("favourites");
  const on = !list.includes(expr);
  save("favourites", on ? [expr, ...list] : list.filter((one) => one !== expr));
  return on;
}
