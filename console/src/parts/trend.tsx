/** The shape of the last minutes, without scales. */
export function Trend({ values }: { values: readonly number[] }) {
  if (values.length < 3) return null;
  const most = Math.max(...values, 1);
  const points = values.map(
    (value, index) => `${((index / (values.length - 1)) * 100).toFixed(2)},${(30 - (value / most) * 26).toFixed(2)}`,
  );
  return (
    <svg className="trend" viewBox="0 0 100 30" preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`0,30 ${points.join(" ")} 100,30`} fill="currentColor" opacity="0.18" />
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        vectorEffect="non-scaling-stroke"
      />
    </svg>
  );
}
