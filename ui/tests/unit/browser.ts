// What modules look for while they are loaded.
const store = new Map<string, string>();
Object.assign(globalThis, {
  localStorage: { getItem: (key: string) => store.get(key) ?? null, setItem: (key: string, value: string) => store.set(key, value) },
  sessionStorage: { getItem: () => null, setItem: () => undefined, removeItem: () => undefined },
  location: { pathname: "/a/prefix/ui/query", origin: "http://weir", href: "http://weir/a/prefix/ui/query", search: "" },
});
