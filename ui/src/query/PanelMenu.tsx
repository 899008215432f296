// A panel's answer in forms that others read: to copy, or to save.
import { Popover } from "@mantine/core";
import { IconBraces, IconCamera, IconCheck, IconFileTypeCsv, IconLayoutDashboard, IconLink, IconMarkdown, IconShare2, IconTerminal2, IconTextSize } from "@tabler/icons-react";
import { type KeyboardEvent, type RefObject, useState } from "react";
import type { QueryAnswer } from "../api/types";
import { toClipboard } from "../parts/state";
import type { Range } from "../time/range";
import { csv, curl, download, grafanaPanel, markdown, png } from "./export";
import type { PanelState } from "./state";

interface Props {
  panel: PanelState;
  range: Range;
  answer: QueryAnswer | undefined;
  card: RefObject<HTMLElement | null>;
}

interface Entry {
  text: string;
  icon: typeof IconLink;
  /** Absent: nothing to copy or save now. */
  act: (() => void) | undefined;
}

export function ShareMenu({ panel, range, answer, card }: Props) {
  const [open, setOpen] = useState(false);
  const [done, setDone] = useState("");
  // Texts are made once they are wanted: an answer may be large.
  const copy = (what: string, text: () => string) => async () => {
    setDone((await toClipboard(text())) ? `${what} copied` : "The browser does not let the page copy");
    setTimeout(() => setDone(""), 1600);
  };
  const save = (name: string, type: string, text: () => string) => () => download(name, new Blob([text()], { type }));
  const picture = async () => {
    const drawn = card.current && (await png(card.current, panel.expr));
    if (drawn) download("weir.png", drawn);
  };
  const kind = panel.tab === "heat" ? "heat" : panel.tab === "table" ? "table" : "graph";
  const groups: [string, Entry[]][] = [
    ["Copy", [
      { text: "Link to this page", icon: IconLink, act: copy("Link", () => location.href) },
      { text: "PromQL", icon: IconTextSize, act: copy("Expression", () => panel.expr) },
      { text: "curl command", icon: IconTerminal2, act: copy("curl", () => curl(panel.expr, range, panel.tab === "table")) },
      { text: "Grafana panel", icon: IconLayoutDashboard, act: copy("Panel", () => grafanaPanel(panel.expr, kind, panel.mode === "stacked")) },
      { text: "Markdown table", icon: IconMarkdown, act: answer && copy("Markdown", () => markdown(panel.expr, answer)) },
    ]],
    ["Save", [
      { text: "CSV of all samples", icon: IconFileTypeCsv, act: answer && save("weir.csv", "text/csv", () => csv(answer)) },
      { text: "JSON of the answer", icon: IconBraces, act: answer && save("weir.json", "application/json", () => JSON.stringify(answer, null, 1)) },
      { text: "PNG of the graph", icon: IconCamera, act: panel.tab === "graph" || panel.tab === "heat" ? picture : undefined },
    ]],
  ];
  return (
    <>
      <span className="small good" role="status">{done && <span className="row"><IconCheck size={14} aria-hidden />{done}</span>}</span>
      <Popover opened={open} onChange={setOpen} position="bottom-end" shadow="md" width={220} withinPortal trapFocus returnFocus withRoles={false}>
        <Popover.Target>
          <button type="button" className="btn quiet icon sm" aria-label="Copy or save this panel" title="Copy or save" aria-haspopup="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
            <IconShare2 size={16} aria-hidden />
          </button>
        </Popover.Target>
        <Popover.Dropdown p={4}>
          {open && (
            <div className="menu" role="menu" aria-label="Copy or save" onKeyDown={walk}>
              {groups.map(([title, entries]) => (
                <div key={title} role="group" aria-label={title}>
                  <div className="menu-title" aria-hidden>{title}</div>
                  {entries.map(({ text, icon: Icon, act }) => (
                    <button
                      key={text}
                      type="button"
                      role="menuitem"
                      disabled={!act}
                      onClick={() => {
                        setOpen(false);
                        act?.();
                      }}
                    >
                      <Icon size={16} aria-hidden />
                      {text}
                    </button>
                  ))}
                </div>
              ))}
            </div>
          )}
        </Popover.Dropdown>
      </Popover>
    </>
  );
}

/** Up and down go from entry to entry. */
function walk(event: KeyboardEvent<HTMLElement>) {
  const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (by === 0) return;
  event.preventDefault();
  const entries = [...event.currentTarget.querySelectorAll<HTMLButtonElement>("button:enabled")];
  entries[(entries.indexOf(document.activeElement as HTMLButtonElement) + by + entries.length) % entries.length]?.focus();
}
