import { SegmentedControl, Select } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api, asked } from "../../api/client";
import { useText } from "../../i18n/text";
import { Chart, type Curve } from "../../parts/chart";
import type { Site } from "../../parts/single-line";

const HOURS: Record<string, number> = { "1 h": 1, "6 h": 6, "24 h": 24, "7 d": 168 };

/** How the site was loaded, each phase against what it may bear, and what the cars drew. */
export function History({ site }: { site: Site }) {
  const { t } = useText();
  const [name, choose] = useState<string | null>(null);
  const [range, setRange] = useState("24 h");
  const found = useQuery({
    queryKey: ["sites", "history", site.id, range],
    queryFn: () => {
      // By the site's own clock, which is not always the viewer's.
      const now = site.at === null ? Date.now() : Date.parse(site.at);
      const since = new Date(now - (HOURS[range] ?? 24) * 3_600_000).toISOString();
      return asked(
        api.GET("/api/v1/sites/{site_id}/history", {
          params: { path: { site_id: site.id }, query: { points: 288, since } },
        }),
      );
    },
    placeholderData: keepPreviousData,
    refetchInterval: 10_000,
  });
  const nodes = site.nodes.map((node) => node.name);
  const shown = name !== null && nodes.includes(name) ? name : (nodes[0] ?? "");
  const drawn = useMemo(() => {
    const items = found.data?.items ?? [];
    const of = items.map((item) => item.nodes.find((node) => node.name === shown));
    const phase = (index: number, tone: string): Curve => ({
      label: `L${index + 1}`,
      tone,
      values: of.map((node) => node?.highest_a[index] ?? null),
      digits: 1,
    });
    return {
      times: items.map((item) => Date.parse(item.at) / 1000),
      loads: [
        phase(0, "--curve-1"),
        phase(1, "--curve-2"),
        phase(2, "--curve-3"),
        {
          label: t("Limit"),
          tone: "--curve-limit",
          dashed: true,
          stepped: true,
          values: of.map((node) => (node === undefined ? null : Math.min(...node.limit_a))),
          digits: 1,
        },
      ],
      power: [
        {
          label: t("Cars"),
          tone: "--curve-1",
          filled: true,
          values: items.map((item) => item.power_w / 1000),
          digits: 1,
        },
        ...(items.some((item) => item.dimmed)
          ? [
              {
                label: t("Dimmed"),
                tone: "--curve-limit",
                stepped: true,
                dashed: true,
                values: items.map((item) => (item.dimmed ? item.power_w / 1000 : null)),
                digits: 1,
              },
            ]
          : []),
      ] as Curve[],
    };
  }, [found.data, shown, t]);
  return (
    <section className="card">
      <div className="card-head">
        <h2>{t("Loads against ratings")}</h2>
        <div className="strip">
          <SegmentedControl
            size="xs"
            aria-label={t("Stretch of time")}
            data={Object.keys(HOURS)}
            value={range}
            onChange={setRange}
          />
          {nodes.length > 1 && (
            <Select
              size="xs"
              aria-label={t("Circuit")}
              data={nodes}
              value={shown}
              onChange={choose}
              allowDeselect={false}
            />
          )}
        </div>
      </div>
      {drawn.times.length < 2 ? (
        <p className="small faint">{t("Nothing recorded yet: the first points come after a minute or two.")}</p>
      ) : (
        <>
          <Chart
            label={t("Highest current of each stretch")}
            unit="A"
            times={drawn.times}
            curves={drawn.loads}
            group="history"
          />
          <Chart
            label={t("Power of all cars")}
            unit="kW"
            height={120}
            times={drawn.times}
            curves={drawn.power}
            group="history"
          />
        </>
      )}
    </section>
  );
}
