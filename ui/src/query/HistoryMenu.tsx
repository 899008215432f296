import { Popover } from "@mantine/core";
import { IconHistory, IconStar, IconStarFilled } from "@tabler/icons-react";
import { useState } from "react";
import { favourites, history, toggleFavourite } from "./remember";

export function HistoryMenu({ onPick }: { onPick: (expr: string) => void }) {
  const [open, setOpen] = useState(false);
  return (
    <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" width={460} withinPortal trapFocus>
      <Popover.Target>
        <button type="button" className="btn quiet icon" aria-label="Earlier expressions" title="Earlier expressions" aria-expanded={open} onClick={() => setOpen(!open)}>
          <IconHistory size={17} aria-hidden />
        </button>
      </Popover.Target>
      <Popover.Dropdown p={8} style={{ maxWidth: "calc(100vw - 24px)" }}>
        {open && (
          <List
            onPick={(expr) => {
              setOpen(false);
              onPick(expr);
            }}
          />
        )}
      </Popover.Dropdown>
    </Popover>
  );
}

function List({ onPick }: { onPick: (expr: string) => void }) {
  const [wanted, setWanted] = useState("");
  const [starred, setStarred] = useState(favourites);
  const past = history();
  const all = [...starred, ...past.filter((one) => !starred.includes(one))].filter((one) => one.toLowerCase().includes(wanted.toLowerCase()));
  return (
    <div className="stack tight">
      <input className="field" placeholder="Search what was asked before" aria-label="Search earlier expressions" data-autofocus value={wanted} onChange={(event) => setWanted(event.target.value)} />
      {all.length === 0 ? (
        <p className="dim small" style={{ padding: 8 }}>{past.length === 0 ? "Expressions stand here once they were asked. They are kept in this browser only." : "None of them contains that."}</p>
      ) : (
        <ul className="past">
          {all.slice(0, 60).map((expr) => {
            const on = starred.includes(expr);
            return (
              <li key={expr}>
                <button type="button" className="btn quiet icon sm" aria-pressed={on} aria-label={on ? "No favourite any more" : "Make it a favourite"} onClick={() => { toggleFavourite(expr); setStarred(favourites()); }}>
                  {on ? <IconStarFilled size={15} aria-hidden /> : <IconStar size={15} aria-hidden />}
                </button>
                <button type="button" className="past-expr mono clip" title={expr} onClick={() => onPick(expr)}>{expr}</button>
              </li>
            );
          })}
        </ul>
      )}
    </div>
  );
}
