// States of rules and alerts: a word and a mark each.
import { IconBellRinging, IconCircleCheck, IconCircleX, IconClockHour4, IconHelpCircle, IconZoomQuestion } from "@tabler/icons-react";
import type { WeirGroup, WeirRule } from "../api/rules";

/** A rule where it stands. */
export interface Placed {
  rule: WeirRule;
  group: WeirGroup;
  key: string;
}

export const placed = (groups: WeirGroup[]): Placed[] =>
  groups.flatMap((group) => group.rules.map((rule, index) => ({ rule, group, key: `${group.file} ${group.name} ${index}` })));

const MARKS = {
  firing: ["bad", IconBellRinging, "Firing"],
  pending: ["warn", IconClockHour4, "Pending"],
  inactive: ["", IconCircleCheck, "Inactive"],
  ok: ["good", IconCircleCheck, "Fine"],
  err: ["bad", IconCircleX, "Failing"],
  unhealthy: ["bad", IconCircleX, "Failing"],
  nomatch: ["warn", IconZoomQuestion, "Nothing matches"],
  unknown: ["", IconHelpCircle, "Not evaluated yet"],
} as const;

export type Mark = keyof typeof MARKS;

export function StateMark({ state, count }: { state: Mark; count?: number }) {
  const [kind, Icon, word] = MARKS[state];
  return (
    <span className={`state ${kind}`}>
      <Icon size={14} stroke={2} aria-hidden />
      {word}
      {count !== undefined && count > 1 && <span className="num">{count}</span>}
    </span>
  );
}

/** What a rule's row shows: a failure is more urgent than any state. */
export function markOf(rule: WeirRule): Mark {
  if (rule.health === "err") return "err";
  if (rule.health === "unknown") return "unknown";
  if (rule.type === "recording") return rule.state === "nomatch" || rule.hint ? "nomatch" : "ok";
  return rule.state === "firing" || rule.state === "pending" ? rule.state : "inactive";
}
