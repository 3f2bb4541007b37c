import { useQueries, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, asked } from "../api/client";
import { useFormat } from "../i18n/format";
import { useText } from "../i18n/text";
import { useTold } from "../i18n/told";
import type { Station } from "../live/fleet";
import type { Site, SiteEvse } from "./single-line";

/** More sites than these aren't asked whether a station is theirs. */
const MOST = 5;
const EVERY_MS = 5_000;

interface Share {
  site: Site;
  evse: SiteEvse;
}

/** What the controller of its site gives a station's EVSEs; nothing where none is linked. */
export function useSiteShares(station: Station): readonly Share[] {
  const sites = useQuery({
    queryKey: ["sites", "of stations"],
    queryFn: () => asked(api.GET("/api/v1/sites", { params: { query: { limit: 500 } } })),
    staleTime: 60_000,
  });
  const near = (sites.data?.items ?? [])
    .filter((one) => one.location_id === null || one.location_id === station.location_id)
    .sort((a, b) => Number(b.location_id !== null) - Number(a.location_id !== null))
    .slice(0, MOST);
  const found = useQueries({
    queries: near.map((one) => ({
      queryKey: ["sites", "one", one.id],
      queryFn: () => asked(api.GET("/api/v1/sites/{site_id}", { params: { path: { site_id: one.id } } })),
      refetchInterval: EVERY_MS,
    })),
  });
  return found.flatMap(({ data: site }) =>
    site === undefined
      ? []
      : site.evses.filter((evse) => evse.station_id === station.id).map((evse) => ({ site, evse })),
  );
}

/** How much one EVSE may draw by its site, and why. */
export function SiteShare({ of }: { of: Share }) {
  const { t } = useText();
  const format = useFormat();
  const told = useTold();
  const { site, evse } = of;
  return (
    <div className="small">
      <Link className="link" to={`/sites/${site.id}`}>
        {site.name}
      </Link>
      {evse.limit_a === null
        ? `: ${t("isn't limited")}`
        : `: ${t("may draw {limit}", { limit: `${format.number(evse.limit_a, 1)} A` })}`}
      {evse.why !== null && <div className="faint">{told(evse.sentence, evse.why)}</div>}
    </div>
  );
}
