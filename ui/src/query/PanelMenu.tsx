import { Menu } from "@mantine/core";
import { IconBraces, IconLayoutDashboard, IconCamera, IconCheck, IconFileTypeCsv, IconLink, IconMarkdown, IconShare2, IconTerminal2, IconTextSize } from "@tabler/icons-react";
import { type RefObject, useState } from "react";
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

export function ShareMenu({ panel, range, answer, card }: Props) {
  const [done, setDone] = useState("");
  const copied = async (what: string, text: string) => {
    setDone((await toClipboard(text)) ? `${what} copied` : "The browser does not let the page copy");
    setTimeout(() => setDone(""), 1600);
  };
  const kind = panel.tab === "heat" ? "heat" : panel.tab === "table" ? "table" : "graph";
  return (
    <>
      <span className="small good" role="status">{done && <span className="row"><IconCheck size={14} aria-hidden />{done}</span>}</span>
      <Menu position="bottom-end" shadow="md" width={230} withinPortal>
        <Menu.Target>
          <button type="button" className="btn quiet icon sm" aria-label="Copy or save this panel" title="Copy or save">
            <IconShare2 size={16} aria-hidden />
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>Copy</Menu.Label>
          <Menu.Item leftSection={<IconLink size={16} />} onClick={() => copied("Link", location.href)}>Link to this page</Menu.Item>
          <Menu.Item leftSection={<IconTextSize size={16} />} onClick={() => copied("Expression", panel.expr)}>PromQL</Menu.Item>
          <Menu.Item leftSection={<IconTerminal2 size={16} />} onClick={() => copied("curl", curl(panel.expr, range, panel.tab === "table"))}>curl command</Menu.Item>
          <Menu.Item leftSection={<IconLayoutDashboard size={16} />} onClick={() => copied("Panel", grafanaPanel(panel.expr, kind, panel.mode === "stacked"))}>Grafana panel</Menu.Item>
          <Menu.Item leftSection={<IconMarkdown size={16} />} disabled={!answer} onClick={() => answer && copied("Markdown", markdown(panel.expr, answer))}>Markdown table</Menu.Item>
          <Menu.Label>Save</Menu.Label>
          <Menu.Item leftSection={<IconFileTypeCsv size={16} />} disabled={!answer} onClick={() => answer && download("weir.csv", new Blob([csv(answer)], { type: "text/csv" }))}>CSV of all samples</Menu.Item>
          <Menu.Item leftSection={<IconBraces size={16} />} disabled={!answer} onClick={() => answer && download("weir.json", new Blob([JSON.stringify(answer, null, 1)], { type: "application/json" }))}>JSON of the answer</Menu.Item>
          <Menu.Item
            leftSection={<IconCamera size={16} />}
            disabled={panel.tab !== "graph" && panel.tab !== "heat"}
            onClick={async () => {
              const picture = card.current && (await png(card.current, panel.expr));
              if (picture) download("weir.png", picture);
            }}
          >
            PNG of the graph
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
