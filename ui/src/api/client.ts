// The public HTTP API, asked from wherever the page stands: below any prefix, with a token where one is asked for.

/** The path in front of `/ui/`: what a proxy put there. Pages are one level deep, so the last `/ui/` is ours. */
export const prefix = location.pathname.slice(0, Math.max(0, location.pathname.lastIndexOf("/ui/")));

const TOKEN_KEY = "weir.token";

export function token(): string {
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export function keepToken(text: string) {
  if (text) sessionStorage.setItem(TOKEN_KEY, text);
  else sessionStorage.removeItem(TOKEN_KEY);
}

/** The API said no, or nobody answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    /** `bad_data`, `execution`, `timeout`, ...; `network` where nobody answered. */
    readonly kind: string,
    message: string,
  ) {
    super(message);
  }
}

export type Params = Record<string, string | number | boolean | string[] | undefined>;

export interface Asking {
  method?: "GET" | "POST";
  signal?: AbortSignal | undefined;
}

function form(params: Params): URLSearchParams {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) all.append(name, String(one));
  }
  return all;
}

/** The address of an API path, absolute: for curl and for links. */
export function address(path: string, params: Params = {}): string {
  const query = form(params).toString();
  return `${location.origin}${prefix}${path}${query ? `?${query}` : ""}`;
}

/** `fetch` with the token, for libraries that bring their own requests. */
export function authorized(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const bearer = token();
  if (bearer) headers.set("Authorization", `Bearer ${bearer}`);
  return fetch(input, { ...init, headers });
}

async function send(path: string, params: Params, asking: Asking, body?: unknown): Promise<Response> {
  const post = asking.method === "POST";
  const query = post ? "" : `?${form(params)}`;
  const init: RequestInit = { method: post ? "POST" : "GET" };
  if (asking.signal) init.signal = asking.signal;
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json" };
  } else if (post) init.body = form(params);
  try {
    return await authorized(`${prefix}${path}${query === "?" ? "" : query}`, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "network", "Weir does not answer. Is it running, and can this browser reach it?");
  }
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  let json: { status?: string; error?: string; errorType?: string } | undefined;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  if (response.ok && json !== undefined) return json;
  if (response.status === 401) window.dispatchEvent(new Event("weir:unauthorized"));
  const said = json?.error ?? text.trim().slice(0, 2000);
  throw new ApiError(response.status, json?.errorType ?? "http", said || `HTTP ${response.status} ${response.statusText}`);
}

/** The whole JSON answer. */
export async function ask<T>(path: string, params: Params = {}, asking: Asking = {}): Promise<T> {
  return (await read(await send(path, params, asking))) as T;
}

/** `data` of an answer. */
export async function data<T>(path: string, params: Params = {}, asking: Asking = {}): Promise<T> {
  return (await ask<{ data: T }>(path, params, asking)).data;
}

/** Posts JSON, reads JSON. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  return (await read(await send(path, {}, { method: "POST" }, body))) as T;
}

/** Text as it comes: `/metrics`, `/-/reload`. */
export async function text(path: string, asking: Asking = {}): Promise<string> {
  const response = await send(path, {}, asking);
  const body = await response.text();
  if (response.status === 401) window.dispatchEvent(new Event("weir:unauthorized"));
  if (!response.ok) throw new ApiError(response.status, "http", body.trim() || `HTTP ${response.status}`);
  return body;
}
