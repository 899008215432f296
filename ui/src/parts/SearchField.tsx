import { IconSearch } from "@tabler/icons-react";

export function SearchField({ value, onChange, placeholder }: { value: string; onChange: (text: string) => void; placeholder: string }) {
  return (
    <span className="search-field">
      <IconSearch size={15} aria-hidden />
      <input className="field" type="search" value={value} placeholder={placeholder} aria-label={placeholder} onChange={(event) => onChange(event.target.value)} />
    </span>
  );
}
