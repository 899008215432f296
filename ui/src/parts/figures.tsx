// Numbers at a glance.
import type { ReactNode } from "react";

export function Stats({ children }: { children: ReactNode }) {
  return <dl className="stats">{children}</dl>;
}

export function Stat({ name, value, unit, more, kind }: { name: string; value: ReactNode; unit?: string; more?: ReactNode; kind?: "bad" | "warn" | "good" | undefined }) {
  return (
    <div className="stat">
      <dt>{name}</dt>
      <dd className={kind ?? ""}>
        {value}
        {unit && <small> {unit}</small>}
      </dd>
      <dd className="more">{more}</dd>
    </div>
  );
}

/** A part of the whole, beside its number. */
export function Share({ part }: { part: number }) {
  return (
    <span className="share" aria-hidden>
      <i style={{ width: `${Math.max(0, Math.min(100, part * 100))}%` }} />
    </span>
  );
}

export function Segments<T extends string>({ value, options, onChange, label }: { value: T; options: { value: T; label: ReactNode; count?: number | undefined }[]; onChange: (value: T) => void; label: string }) {
  return (
    <div className="segments" role="group" aria-label={label}>
      {options.map((option) => (
        <button key={option.value} type="button" aria-pressed={option.value === value} onClick={() => onChange(option.value)}>
          {option.label}
          {option.count !== undefined && <span className="count">{option.count}</span>}
        </button>
      ))}
    </div>
  );
}
