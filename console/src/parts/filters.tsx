import { Button, Menu, Popover, TextInput } from "@mantine/core";
import { IconBookmark, IconTrash } from "@tabler/icons-react";
import { type FormEvent, useCallback, useEffect, useRef, useState } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { useText } from "../i18n/text";

/** How long somebody types before the address follows. */
const FOLLOWS_MS = 250;

/** Filters that stand in the page's address: they come back with it, and can be sent to somebody. */
export function useFilters<T extends string>(
  ...names: T[]
): [Record<T, string>, (some: Partial<Record<T, string>>) => void] {
  const [sought, seek] = useSearchParams();
  const read = () => Object.fromEntries(names.map((name) => [name, sought.get(name) ?? ""])) as Record<T, string>;
  const [values, setValues] = useState(read);
  const written = useRef(JSON.stringify(values));
  const there = JSON.stringify(read());
  // The address has changed by itself: a link, or the way back.
  useEffect(() => {
    if (there === written.current) return;
    written.current = there;
    setValues(JSON.parse(there));
  }, [there]);
  const own = JSON.stringify(values);
  useEffect(() => {
    if (own === written.current) return;
    const timer = setTimeout(() => {
      written.current = own;
      seek(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries<string>(JSON.parse(own)))
            if (value === "") after.delete(name);
            else after.set(name, value);
          return after;
        },
        { replace: true },
      );
    }, FOLLOWS_MS);
    return () => clearTimeout(timer);
  }, [own, seek]);
  const change = useCallback((some: Partial<Record<T, string>>) => setValues((before) => ({ ...before, ...some })), []);
  return [values, change];
}

/** What a field for a local time says, as an instant; nothing while it is none. */
export function instantOf(local: string): string | undefined {
  const at = new Date(local);
  return local === "" || Number.isNaN(at.getTime()) ? undefined : at.toISOString();
}

/** From when, and until when, by the viewer's clock. */
export function Between({
  filters,
  filter,
}: {
  filters: { since: string; until: string };
  filter: (some: { since?: string; until?: string }) => void;
}) {
  const { t } = useText();
  return (
    <div className="strip">
      {(["since", "until"] as const).map((name) => (
        <TextInput
          key={name}
          size="xs"
          type="datetime-local"
          label={name === "since" ? t("From") : t("Until")}
          className="beside"
          value={filters[name]}
          onChange={(event) => filter({ [name]: event.currentTarget.value })}
        />
      ))}
    </div>
  );
}

interface View {
  name: string;
  search: string;
}

function kept(key: string): View[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

/** Filters of a page under a name, kept in this browser; those of one station's page are for all stations. */
export function Views() {
  const page = useLocation().pathname.replace(/^\/stations\/[^/]+/, "/stations/*");
  return <ViewsOf key={page} page={page} />;
}

function ViewsOf({ page }: { page: string }) {
  const { t } = useText();
  const { pathname, search } = useLocation();
  const go = useNavigate();
  const key = `forecourt.views.${page}`;
  const [views, setViews] = useState(() => kept(key));
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const keep = (all: View[]) => {
    localStorage.setItem(key, JSON.stringify(all));
    setViews(all);
  };
  function add(event: FormEvent) {
    event.preventDefault();
    event.stopPropagation();
    keep([...views.filter((one) => one.name !== name.trim()), { name: name.trim(), search }]);
    setNaming(false);
    setName("");
  }
  return (
    <Popover opened={naming} onChange={setNaming} trapFocus withArrow position="bottom-end">
      <Menu position="bottom-end" width={260}>
        <Popover.Target>
          <Menu.Target>
            <Button size="xs" variant="default" leftSection={<IconBookmark size={14} aria-hidden />}>
              {t("Views")}
            </Button>
          </Menu.Target>
        </Popover.Target>
        <Menu.Dropdown>
          <Menu.Label>{views.length === 0 ? t("No view kept yet") : t("Views kept in this browser")}</Menu.Label>
          {views.map((one) => (
            <Menu.Item key={one.name} onClick={() => go({ pathname, search: one.search })}>
              {one.name}
            </Menu.Item>
          ))}
          <Menu.Divider />
          <Menu.Item disabled={search === ""} onClick={() => setTimeout(() => setNaming(true))}>
            {search === "" ? t("Filter first, then keep it here") : t("Keep this view")}
          </Menu.Item>
          {views.map((one) => (
            <Menu.Item
              key={one.name}
              color="red"
              leftSection={<IconTrash size={14} aria-hidden />}
              onClick={() => keep(views.filter((other) => other !== one))}
            >
              {t("Forget {name}", { name: one.name })}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <Popover.Dropdown>
        <form onSubmit={add} className="strip">
          <TextInput
            size="xs"
            aria-label={t("Name of the view")}
            placeholder={t("Name of the view")}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            required
            maxLength={40}
            data-autofocus
          />
          <Button size="xs" type="submit">
            {t("Keep")}
          </Button>
        </form>
      </Popover.Dropdown>
    </Popover>
  );
}
