// When alerts were pending and firing, along a stretch of time.
import { showShort, useZone } from "../time/zone";

export interface Stretch {
  from: number;
  to: number;
  fired: boolean;
  title: string;
}

export function EpisodeStrip({ start, end, stretches, label, axis = false }: { start: number; end: number; stretches: Stretch[]; label: string; axis?: boolean }) {
  const zone = useZone();
  const share = (at: number) => (100 * (Math.min(end, Math.max(start, at)) - start)) / Math.max(0.001, end - start);
  return (
    <>
      <div className="episode-strip" role="img" aria-label={label}>
        {stretches.map(({ from, to, fired, title }) => (
          <i key={`${fired} ${from}`} className={fired ? "fired" : ""} style={{ left: `${share(from)}%`, width: `${share(to) - share(from)}%` }} title={title} />
        ))}
      </div>
      {axis && <div className="strip-axis small dim num"><span>{showShort(start, zone)}</span><span>{showShort(end, zone)}</span></div>}
    </>
  );
}
