// Numbers for people.

const LARGE = ["", "k", "M", "G", "T", "P"];

/** `12.3k`; small ones as they are. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1000) {
    const power = Math.min(LARGE.length - 1, Math.floor(Math.log10(size) / 3));
    return `${plain(value / 1000 ** power)}${LARGE[power]}`;
  }
  if (size !== 0 && size < 0.001) return value.toExponential(1);
  return plain(value);
}

function plain(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

/** `1,234,567` */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const power = value < 1 ? 0 : Math.min(BYTES.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${power === 0 ? Math.round(scaled) : scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)} ${BYTES[power]}`;
}

export function seconds(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value < 1) return `${plain(value * 1000)} ms`;
  return `${plain(value)} s`;
}

/** How long something took, by a clock that counts whole milliseconds. */
export const took = (value: number) => (value === 0 ? "< 1 ms" : seconds(value));

/** A sample's value: all its digits unless they are noise. */
export function sample(text: string): string {
  const value = Number(text);
  if (!Number.isFinite(value) || text.length <= 12) return text;
  return Number(value.toPrecision(10)).toString();
}

export const count = (number: number, one: string, many = `${one}s`) => `${whole(number)} ${number === 1 ? one : many}`;
