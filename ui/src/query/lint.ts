// Errors and warnings at their place, as the server's own parser sees them.
import type { Diagnostic } from "@codemirror/lint";
import type { EditorState } from "@codemirror/state";
import { ApiError, data } from "../api/client";

const PLACED = /(\d+):(\d+): parse error: ([\s\S]*)$/;
const NOTED = /\s*\((\d+):(\d+)\)\s*$/;

/** Where a line and a column (in bytes, from 1) lie in the text. */
export function offsetOf(text: string, line: number, column: number): number {
  const lines = text.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const within = lines[line - 1] ?? "";
  let bytes = 0;
  let units = 0;
  for (const letter of within) {
    if (bytes >= column - 1) break;
    bytes += new TextEncoder().encode(letter).length;
    units += letter.length;
  }
  return Math.min(text.length, before + units);
}

function spanAt(text: string, from: number): { from: number; to: number } {
  const word = /^[\w:]+|^\s*\S/.exec(text.slice(from))?.[0].length ?? 0;
  // At the end there is nothing to underline: take the last letter.
  return word > 0 ? { from, to: from + word } : { from: Math.max(0, text.length - 1), to: text.length };
}

export function fromError(text: string, message: string): Diagnostic | undefined {
  const found = PLACED.exec(message);
  if (!found) return undefined;
  return { ...spanAt(text, offsetOf(text, Number(found[1]), Number(found[2]))), severity: "error", message: (found[3] ?? message).trim() };
}

export function fromNotes(text: string, notes: string[], severity: "warning" | "info"): Diagnostic[] {
  return notes.flatMap((note) => {
    const found = NOTED.exec(note);
    if (!found) return [];
    return [{ ...spanAt(text, offsetOf(text, Number(found[1]), Number(found[2]))), severity, message: note.replace(NOTED, "").replace(/^PromQL (warning|info): /, "") }];
  });
}

/** Asks the server whether the text parses. */
export async function check(state: EditorState): Promise<Diagnostic[]> {
  const text = state.doc.toString();
  if (!text.trim()) return [];
  try {
    await data("/api/v1/parse_query", { query: text }, { method: "POST" });
    return [];
  } catch (error) {
    const found = error instanceof ApiError && error.kind === "bad_data" ? fromError(text, error.message) : undefined;
    return found ? [found] : [];
  }
}
