// A table of any length: only the rows that can be seen exist.
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useMemo, useRef, useState } from "react";

export interface Column<T> {
  key: string;
  title: string;
  /** As in `grid-template-columns`. */
  width: string;
  show: (row: T, index: number) => ReactNode;
  /** Sorts by this, if given. */
  by?: (row: T) => number | string;
  right?: boolean;
  /** Stays in sight at the right when the table scrolls sideways: for what the reader came for. */
  pin?: boolean;
}

interface Props<T> {
  rows: T[];
  columns: Column<T>[];
  label: string;
  height?: number;
  rowHeight?: number;
  rowKey?: (row: T, index: number) => string | number;
  sorted?: { key: string; down: boolean };
  /** The narrowest the columns may become before the table scrolls sideways. */
  least?: number;
}

const natural = new Intl.Collator("en", { numeric: true });

/** Numbers by size, texts as people sort them: `le="5"` before `le="10"`. */
function compare(left: number | string, right: number | string): number {
  return typeof left === "string" && typeof right === "string" ? natural.compare(left, right) : left < right ? -1 : left > right ? 1 : 0;
}

export function VirtualTable<T>({ rows, columns, label, height = 480, rowHeight = 34, rowKey, sorted, least = 0 }: Props<T>) {
  const scroll = useRef<HTMLDivElement>(null);
  const [order, setOrder] = useState(sorted);
  const shown = useMemo(() => {
    const by = columns.find((column) => column.key === order?.key)?.by;
    if (!order || !by) return rows;
    const sign = order.down ? -1 : 1;
    return rows
      .map((row) => ({ row, value: by(row) }))
      .sort((left, right) => sign * compare(left.value, right.value))
      .map(({ row }) => row);
  }, [rows, columns, order]);
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => scroll.current, estimateSize: () => rowHeight, overscan: 8 });
  const template = columns.map((column) => column.width).join(" ");
  const full = shown.length * rowHeight + 36;
  const wide = least > 0 ? { minWidth: least } : {};
  return (
    <div className="vt">
      <div className="vt-scroll" ref={scroll} style={{ height: Math.min(height, full + 14) }} role="table" aria-label={label} aria-rowcount={shown.length + 1} tabIndex={0}>
        <div className="vt-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, ...wide }}>
          {columns.map((column) => (
            <div key={column.key} role="columnheader" className={`${column.right ? "r" : ""}${column.pin ? " pin" : ""}`} aria-sort={order?.key === column.key ? (order.down ? "descending" : "ascending") : undefined}>
              {column.by ? (
                <button type="button" onClick={() => setOrder((now) => (now?.key === column.key ? { key: column.key, down: !now.down } : { key: column.key, down: !!column.right }))}>
                  {column.title}
                  {order?.key === column.key && (order.down ? <IconArrowDown size={13} aria-hidden /> : <IconArrowUp size={13} aria-hidden />)}
                </button>
              ) : (
                column.title
              )}
            </div>
          ))}
        </div>
        <div style={{ height: virtual.getTotalSize(), position: "relative", ...wide }} role="rowgroup">
          {virtual.getVirtualItems().map((item) => {
            const row = shown[item.index] as T;
            return (
              <div
                key={rowKey ? rowKey(row, item.index) : item.index}
                className="vt-row"
                role="row"
                aria-rowindex={item.index + 2}
                style={{ gridTemplateColumns: template, height: rowHeight, transform: `translateY(${item.start}px)` }}
              >
                {columns.map((column) => (
                  <div key={column.key} role="cell" className={`cell${column.right ? " r" : ""}${column.pin ? " pin" : ""}`}>{column.show(row, item.index)}</div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
