// A table of any length: only the rows that can be seen exist. Where it is too narrow for its columns, rows are cards.
import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useLayoutEffect, useMemo, useRef, useState } from "react";

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
  /** Stands in the heading where rows are cards, as the first column and a pinned one do anyway. */
  head?: boolean;
  /** Takes a whole line of a card: for what is too long for half of one. */
  wide?: boolean;
}

interface Order {
  key: string;
  down: boolean;
}

interface Props<T> {
  rows: T[];
  columns: Column<T>[];
  label: string;
  height?: number;
  rowHeight?: number;
  rowKey?: (row: T, index: number) => string | number;
  sorted?: Order;
  /** The narrowest the columns may become before the table scrolls sideways, or, on a small screen, becomes cards. */
  least?: number;
}

/** Below this width a table that does not fit becomes cards: nobody reads it through a keyhole. */
const SMALL = 560;
/** Heights of a card's parts: its heading, a line of two cells, the room around. */
const [HEADING, LINE, AROUND] = [30, 24, 18];

const natural = new Intl.Collator("en", { numeric: true });

/** Numbers by size, texts as people sort them: `le="5"` before `le="10"`. */
function compare(left: number | string, right: number | string): number {
  return typeof left === "string" && typeof right === "string" ? natural.compare(left, right) : left < right ? -1 : left > right ? 1 : 0;
}

/** How wide an element is, once it is there. */
function useWidth(of: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = of.current as HTMLElement;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, [of]);
  return width;
}

export function VirtualTable<T>({ rows, columns, label, height = 480, rowHeight = 34, rowKey, sorted, least = 0 }: Props<T>) {
  const scroll = useRef<HTMLDivElement>(null);
  const [order, setOrder] = useState<Order | undefined>(sorted);
  const shown = useMemo(() => {
    const by = columns.find((column) => column.key === order?.key)?.by;
    if (!order || !by) return rows;
    const sign = order.down ? -1 : 1;
    return rows
      .map((row) => ({ row, value: by(row) }))
      .sort((left, right) => sign * compare(left.value, right.value))
      .map(({ row }) => row);
  }, [rows, columns, order]);
  const width = useWidth(scroll);
  const cards = width > 0 && width < SMALL && least > width;
  const heads = columns.filter((column, index) => index === 0 || column.head || column.pin);
  const rest = columns.filter((column) => !heads.includes(column)).sort((left, right) => Number(left.wide ?? false) - Number(right.wide ?? false));
  const long = rest.filter((column) => column.wide).length;
  const high = cards ? HEADING + (Math.ceil((rest.length - long) / 2) + long) * LINE + AROUND : rowHeight;
  const virtual = useVirtualizer({ count: shown.length, getScrollElement: () => scroll.current, estimateSize: () => high, overscan: 8 });
  useLayoutEffect(() => virtual.measure(), [virtual, high]);
  const template = columns.map((column) => column.width).join(" ");
  const wide = least > 0 && !cards ? { minWidth: least } : {};
  const cell = (column: Column<T>, row: T, index: number) => (
    <div key={column.key} role="cell" className={`cell${column.right ? " r" : ""}${column.pin ? " pin" : ""}${column.wide ? " whole" : ""}`}>
      {cards && !heads.includes(column) && column.title && <span className="name">{column.title}</span>}
      {column.show(row, index)}
    </div>
  );
  return (
    <div className={`vt${cards ? " cards" : ""}`}>
      {cards && <SortBy columns={columns} order={order} onOrder={setOrder} />}
      <div className="vt-scroll" ref={scroll} style={{ height: Math.min(height, shown.length * high + (cards ? 2 : 50)) }} role="table" aria-label={label} aria-rowcount={shown.length + 1} tabIndex={0}>
        <div className={cards ? "sr" : "vt-head"} role="row" aria-rowindex={1} style={cards ? {} : { gridTemplateColumns: template, ...wide }}>
          {columns.map((column) => (
            <div key={column.key} role="columnheader" className={`${column.right ? "r" : ""}${column.pin ? " pin" : ""}`} aria-sort={order?.key === column.key ? (order.down ? "descending" : "ascending") : undefined}>
              {column.by && !cards ? (
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
                style={{ ...(cards ? {} : { gridTemplateColumns: template }), height: high, transform: `translateY(${item.start}px)` }}
              >
                {cards && <div className="heading" role="presentation">{heads.map((column) => cell(column, row, item.index))}</div>}
                {(cards ? rest : columns).map((column) => cell(column, row, item.index))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

/** Cards have no heads of columns to press. */
function SortBy<T>({ columns, order, onOrder }: { columns: Column<T>[]; order: Order | undefined; onOrder: (order: Order | undefined) => void }) {
  const sortable = columns.filter((column) => column.by && column.title);
  if (sortable.length < 2) return null;
  return (
    <label className="vt-sort small dim">
      Sorted by
      <select className="field sm" value={order?.key ?? ""} onChange={(event) => onOrder(event.target.value ? { key: event.target.value, down: !!columns.find((column) => column.key === event.target.value)?.right } : undefined)}>
        <option value="">as it came</option>
        {sortable.map((column) => <option key={column.key} value={column.key}>{column.title}</option>)}
      </select>
    </label>
  );
}
