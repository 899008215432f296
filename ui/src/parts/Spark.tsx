// A line without axes: only whether it rises or falls.
export function Spark({ values, label }: { values: number[]; label: string }) {
  if (values.length < 2) return <svg width="100%" height="28" aria-hidden />;
  const most = Math.max(...values, 1e-9);
  const points = values.map((value, index) => `${((100 * index) / (values.length - 1)).toFixed(2)},${(26 - (24 * value) / most).toFixed(2)}`);
  return (
    <svg width="100%" height="28" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label={label} style={{ display: "block", marginTop: 4 }}>
      <polygon points={`0,28 ${points.join(" ")} 100,28`} fill="var(--accent)" opacity="0.12" />
      <polyline points={points.join(" ")} fill="none" stroke="var(--accent)" strokeWidth="1.5" vectorEffect="non-scaling-stroke" strokeLinejoin="round" />
    </svg>
  );
}
