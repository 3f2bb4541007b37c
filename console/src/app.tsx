import {
  ActionIcon,
  AppShell,
  Burger,
  Menu,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import {
  IconBolt,
  IconCalendarEvent,
  IconCalendarTime,
  IconChartAreaLine,
  IconChartPie,
  IconCoin,
  IconCreditCard,
  IconKey,
  IconLanguage,
  IconLayoutDashboard,
  IconLogout,
  IconMessages,
  IconMoon,
  IconPlugConnected,
  IconSearch,
  IconShieldLock,
  IconSitemap,
  IconSun,
  IconTerminal2,
  IconUserCircle,
  IconUsers,
  IconVersions,
} from "@tabler/icons-react";
import { type ComponentType, lazy, Suspense, useEffect, useRef, useState } from "react";
import { NavLink, Route, Routes, useLocation } from "react-router";
import { useFormat } from "./i18n/format";
import { type Text, useText } from "./i18n/text";
import { useLine } from "./live/fleet";
import { stream } from "./live/stream";
import { Overview } from "./pages/overview";
import { Empty, Loading } from "./parts/basics";
import { Brand } from "./parts/brand";
import { Failsafe } from "./parts/failsafe";
import { Session, useViewer } from "./session";

interface Place {
  path: string;
  name: Text;
  icon: ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;
  page: ComponentType;
  needs?: "write" | "admin";
}

const GROUPS: { name: Text; places: Place[] }[] = [
  {
    name: "Operation",
    places: [
      { path: "/", name: "Overview", icon: IconLayoutDashboard, page: Overview },
      { path: "/stations", name: "Stations", icon: IconPlugConnected, page: lazy(() => import("./pages/stations")) },
      { path: "/sites", name: "Sites", icon: IconSitemap, page: lazy(() => import("./pages/sites")) },
      { path: "/transactions", name: "Transactions", icon: IconBolt, page: lazy(() => import("./pages/transactions")) },
      {
        path: "/charging",
        name: "Smart charging",
        icon: IconChartAreaLine,
        page: lazy(() => import("./pages/charging")),
      },
      { path: "/groups", name: "Load groups", icon: IconChartPie, page: lazy(() => import("./pages/groups")) },
    ],
  },
  {
    name: "Drivers and money",
    places: [
      { path: "/tokens", name: "Tokens", icon: IconCreditCard, page: lazy(() => import("./pages/tokens")) },
      {
        path: "/reservations",
        name: "Reservations",
        icon: IconCalendarEvent,
        page: lazy(() => import("./pages/reservations")),
      },
      { path: "/tariffs", name: "Tariffs", icon: IconCoin, page: lazy(() => import("./pages/tariffs")) },
    ],
  },
  {
    name: "Technology",
    places: [
      { path: "/messages", name: "Messages", icon: IconMessages, page: lazy(() => import("./pages/messages")) },
      { path: "/commands", name: "Commands", icon: IconTerminal2, page: lazy(() => import("./pages/commands")) },
      { path: "/jobs", name: "Firmware and logs", icon: IconVersions, page: lazy(() => import("./pages/jobs")) },
      { path: "/security", name: "Security", icon: IconShieldLock, page: lazy(() => import("./pages/security")) },
      {
        path: "/people",
        name: "Administration",
        icon: IconUsers,
        page: lazy(() => import("./pages/people")),
        needs: "admin",
      },
      { path: "/keys", name: "Keys", icon: IconKey, page: lazy(() => import("./pages/keys")), needs: "admin" },
    ],
  },
];

const StationPage = lazy(() => import("./pages/station"));
const SitePage = lazy(() => import("./pages/site"));
const TransactionPage = lazy(() => import("./pages/transaction"));
const Search = lazy(() => import("./parts/search"));

export function App() {
  return (
    <Session>
      <Frame />
    </Session>
  );
}

function Frame() {
  const { t } = useText();
  const viewer = useViewer();
  const [opened, { toggle, close }] = useDisclosure();
  const [searching, { open: search, close: endSearch }] = useDisclosure();
  const [searched, setSearched] = useState(false);
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  // Every other page closes the menu.
  useEffect(() => close(), [pathname, close]);
  useHotkeys([
    ["mod+K", () => search()],
    ["/", () => search()],
  ]);
  useEffect(() => {
    if (searching) setSearched(true);
  }, [searching]);
  return (
    <AppShell
      header={{ height: 54 }}
      navbar={{ width: 216, breakpoint: "md", collapsed: { mobile: !opened } }}
      padding={{ base: "sm", sm: "md" }}
    >
      <AppShell.Header px="md">
        <button type="button" className="skip" onClick={() => main.current?.focus()}>
          {t("To the content")}
        </button>
        <div className="head">
          <Burger opened={opened} onClick={toggle} hiddenFrom="md" size="sm" aria-label={t("Menu")} />
          <Brand />
          <UnstyledButton className="search" onClick={search} aria-label={t("Search")}>
            <IconSearch size={16} aria-hidden />
            <span className="grow search-words">{t("Search stations, tokens, transactions …")}</span>
            <kbd>Ctrl K</kbd>
          </UnstyledButton>
          <LineMark />
          <Choices />
        </div>
      </AppShell.Header>
      <AppShell.Navbar p="sm" component="nav" aria-label={t("Pages")} className="nav">
        {GROUPS.map((group) => (
          <div key={group.name}>
            <h2>{t(group.name)}</h2>
            {group.places
              .filter((place) => place.needs === undefined || viewer.may(place.needs))
              .map((place) => (
                <NavLink key={place.path} to={place.path} end={place.path === "/"}>
                  <place.icon size={18} stroke={1.7} aria-hidden />
                  {t(place.name)}
                </NavLink>
              ))}
          </div>
        ))}
      </AppShell.Navbar>
      <AppShell.Main ref={main} id="main" tabIndex={-1} data-path={pathname}>
        <Loss />
        <div className="page">
          <Failsafe key={pathname}>
            <Suspense fallback={<Loading />}>
              <Routes>
                {GROUPS.flatMap((group) => group.places).map((place) => (
                  <Route key={place.path} path={place.path} element={<place.page />} />
                ))}
                <Route path="/stations/:id/:part?" element={<StationPage />} />
                <Route path="/sites/:id" element={<SitePage />} />
                <Route path="/transactions/:number" element={<TransactionPage />} />
                <Route
                  path="*"
                  element={<Empty title={t("There is no such page")}>{t("Search with Ctrl K.")}</Empty>}
                />
              </Routes>
            </Suspense>
          </Failsafe>
        </div>
      </AppShell.Main>
      {searched && (
        <Suspense fallback={null}>
          <Search opened={searching} close={endSearch} />
        </Suspense>
      )}
    </AppShell>
  );
}

/** Whether what is on the screen is true now. */
function LineMark() {
  const { t } = useText();
  const line = useLine();
  const words: Text = line === "live" ? "Live" : line === "lost" ? "Connection lost" : "Connecting";
  return (
    <span className={`pill tone-${line === "live" ? "good" : line === "lost" ? "bad" : "quiet"} line`} role="status">
      <i className="dot" aria-hidden />
      <span>{t(words)}</span>
    </span>
  );
}

function Loss() {
  const { t } = useText();
  const format = useFormat();
  const line = useLine();
  if (line !== "lost") return null;
  return (
    <div className="loss" role="alert">
      <span>
        {t("Connection lost at {time}: what you see is from then. It is tried again by itself.", {
          time: format.seconds(stream.since),
        })}
      </span>
      <button type="button" className="chip on-loss" onClick={stream.again}>
        {t("Try now")}
      </button>
    </div>
  );
}

function Choices() {
  const { t, language, setLanguage } = useText();
  const viewer = useViewer();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  return (
    <>
      <Tooltip label={scheme === "dark" ? t("Light") : t("Dark")}>
        <ActionIcon
          variant="subtle"
          color="gray"
          visibleFrom="xs"
          aria-label={scheme === "dark" ? t("Light") : t("Dark")}
          onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
        >
          {scheme === "dark" ? <IconSun size={18} aria-hidden /> : <IconMoon size={18} aria-hidden />}
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" width={220}>
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={t("You and your settings")}>
            <IconUserCircle size={20} aria-hidden />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{viewer.name}</Menu.Label>
          <Menu.Item
            leftSection={<IconLanguage size={16} aria-hidden />}
            onClick={() => setLanguage(language === "de" ? "en" : "de")}
            lang={language === "de" ? "en" : "de"}
          >
            {language === "de" ? "English" : "Deutsch"}
          </Menu.Item>
          <Menu.Item
            leftSection={<IconMoon size={16} aria-hidden />}
            onClick={() => setColorScheme(scheme === "dark" ? "light" : "dark")}
          >
            {scheme === "dark" ? t("Light") : t("Dark")}
          </Menu.Item>
          <Menu.Item leftSection={<IconCalendarTime size={16} aria-hidden />} disabled>
            {Intl.DateTimeFormat().resolvedOptions().timeZone}
          </Menu.Item>
          {viewer.canSignOut && (
            <Menu.Item leftSection={<IconLogout size={16} aria-hidden />} onClick={viewer.signOut}>
              {t("Sign out")}
            </Menu.Item>
          )}
        </Menu.Dropdown>
      </Menu>
    </>
  );
}
