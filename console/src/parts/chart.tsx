import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { useText } from "../i18n/text";

export interface Curve {
  label: string;
  /** A custom property with its colour, such as `--curve-1`. */
  tone: string;
  values: (number | null)[];
  stepped?: boolean;
  filled?: boolean;
  dashed?: boolean;
  digits?: number;
}

interface Given {
  label: string;
  unit: string;
  /** Seconds since 1970. */
  times: number[];
  curves: Curve[];
  height?: number;
  /** Charts of one group move their cursors together. */
  group?: string;
  from?: number;
  to?: number;
}

/** Curves over time. A reader without eyes for it gets the last values as text. */
export function Chart({ label, unit, times, curves, height = 170, group, from, to }: Given) {
  const { locale, t } = useText();
  const scheme = useComputedColorScheme("light");
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = curves.map((one) => `${one.label}|${one.tone}|${one.stepped}|${one.dashed}`).join();

  // Values alone don't need another plot.
  useEffect(() => {
    const box = place.current;
    if (box === null) return;
    const style = getComputedStyle(document.documentElement);
    const tone = (name: string) => style.getPropertyValue(name).trim();
    const number = (digits: number) => new Intl.NumberFormat(locale, { maximumFractionDigits: digits });
    const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
    const exact = new Intl.DateTimeFormat(locale, {
      day: "numeric",
      month: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    const axis: uPlot.Axis = {
      stroke: tone("--ink-soft"),
      grid: { stroke: tone("--line"), width: 1 },
      ticks: { stroke: tone("--line"), width: 1 },
      font: `${Math.round(0.6875 * Number.parseFloat(style.fontSize))}px system-ui, sans-serif`,
    };
    const made = new uPlot(
      {
        width: box.clientWidth,
        height,
        cursor: { ...(group && { sync: { key: group } }), points: { size: 6 } },
        legend: { live: true },
        scales: {
          x: {
            time: true,
            ...(from !== undefined && to !== undefined && { range: () => [from, to] as [number, number] }),
          },
          y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high ?? 0) <= 0 ? 1 : (high ?? 1) * 1.08] },
        },
        axes: [
          { ...axis, space: 70, values: (_, splits) => splits.map((one) => clock.format(one * 1000)) },
          { ...axis, size: 52, values: (_, splits) => splits.map((one) => number(2).format(one)) },
        ],
        series: [
          { label: t("Time"), value: (_, at) => (at === null ? "–" : exact.format(at * 1000)) },
          ...curves.map(
            (one): uPlot.Series => ({
              label: `${one.label} (${unit})`,
              stroke: tone(one.tone),
              width: one.dashed ? 1.25 : 1.75,
              ...(one.dashed && { dash: [6, 4] }),
              ...(one.filled && { fill: `${tone(one.tone)}22` }),
              ...(one.stepped && { paths: uPlot.paths.stepped!({ align: 1 }) }),
              spanGaps: true,
              points: { show: false },
              value: (_, value) =>
                value === null || value === undefined ? "–" : number(one.digits ?? 2).format(value),
            }),
          ),
        ],
      },
      [times, ...curves.map((one) => one.values)] as uPlot.AlignedData,
      box,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: box.clientWidth, height }));
    watcher.observe(box);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, scheme, locale, height, group, unit, from, to, t]);

  useEffect(() => {
    plot.current?.setData([times, ...curves.map((one) => one.values)] as uPlot.AlignedData);
  }, [times, curves]);

  const last = curves.map((one) => `${one.label} ${lastOf(one.values)} ${unit}`).join(", ");
  return (
    <figure className="chart-frame">
      <figcaption className="small faint">
        {label} <span className="away">{last}</span>
      </figcaption>
      <div ref={place} className="chart" aria-hidden />
    </figure>
  );
}

function lastOf(values: readonly (number | null)[]): string {
  for (let index = values.length - 1; index >= 0; index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return String(Math.round(value * 100) / 100);
  }
  return "–";
}
