import { Button } from "@mantine/core";
import { type QueryKey, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useEffect } from "react";
import { useText } from "../i18n/text";
import { stream } from "../live/stream";
import { Loading, Trouble } from "./basics";
import { Wide } from "./wide";

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** A list that comes in pages. */
export function usePages<P extends Page<unknown>>(
  key: QueryKey,
  page: (cursor: string | undefined) => Promise<P>,
  live: readonly string[] = [],
  everyMs?: number,
) {
  const found = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    ...(everyMs !== undefined && { refetchInterval: everyMs }),
  });
  useLive(key, live);
  return { ...found, items: found.data?.pages.flatMap((one) => one.items) as P["items"] | undefined };
}

interface Of {
  station_id?: string;
  site_id?: number;
}

/** Reads again what events of these types, and of this station or site, make old; at most every two seconds. */
export function useLive(key: QueryKey, types: readonly string[], of: Of = {}) {
  const queries = useQueryClient();
  const text = JSON.stringify(key);
  const wanted = types.join();
  const { station_id: stationId, site_id: siteId } = of;
  useEffect(() => {
    if (wanted === "") return;
    let timer = 0;
    const again = () => {
      if (timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        void queries.invalidateQueries({ queryKey: JSON.parse(text) });
      }, 1500);
    };
    const stops = [
      stream.onOpen(again),
      stream.onEvent((event) => {
        if (!wanted.split(",").includes(event.type)) return;
        if (stationId !== undefined && event.station_id !== stationId) return;
        if (siteId !== undefined && event.body["site_id"] !== siteId) return;
        again();
      }),
    ];
    return () => {
      clearTimeout(timer);
      for (const stop of stops) stop();
    };
  }, [queries, text, wanted, stationId, siteId]);
}

interface Paged<T> {
  items: T[] | undefined;
  error: unknown;
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
  refetch: () => unknown;
}

export function Pages<T>({
  of,
  none,
  children,
}: {
  of: Paged<T>;
  none: ReactNode;
  children: (items: T[]) => ReactNode;
}) {
  const { t } = useText();
  if (of.items === undefined) return of.error ? <Trouble error={of.error} again={() => of.refetch()} /> : <Loading />;
  if (of.items.length === 0 && !of.hasNextPage) return none;
  return (
    <>
      {of.items.length === 0 ? none : <Wide>{children(of.items)}</Wide>}
      {of.hasNextPage && (
        <div className="show-more">
          <Button variant="default" size="xs" loading={of.isFetchingNextPage} onClick={() => of.fetchNextPage()}>
            {t("Show more")}
          </Button>
        </div>
      )}
    </>
  );
}
