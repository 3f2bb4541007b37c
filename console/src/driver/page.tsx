import { type FormEvent, useState } from "react";
import { makeFormat } from "../i18n/format";
import { type Text, useText } from "../i18n/text";
import { api, asked, No, type Schemas, useKept, useRegular } from "./asking";

type Station = Schemas["DriverStationResource"];
type Visit = Schemas["VisitResource"];

const VIEWS: Record<Schemas["ConnectorView"], Text> = {
  unknown: "Not known yet",
  unplugged: "Free",
  plugged_in: "A car is plugged in",
  charging: "Charging",
  finished: "Charging is finished",
  faulted: "Faulted",
  reserved: "Reserved",
  unavailable: "Out of service",
};
const DIMENSIONS: Record<Schemas["TariffDimension"], { name: Text; per: Text }> = {
  ENERGY: { name: "Energy", per: "per kWh" },
  TIME: { name: "Charging time", per: "per hour" },
  PARKING_TIME: { name: "Time after charging", per: "per hour" },
  FLAT: { name: "Once per session", per: "once" },
};

/** The page behind a station's QR code, for a phone. */
export function DriverPage({ code }: { code: string }) {
  const { t, language, setLanguage } = useText();
  const path = { params: { path: { code } } };
  const station = useRegular(() => asked(api.GET("/api/v1/driver/{code}", path)), 5000);
  const [visit, keepVisit] = useKept(`visit ${code}`);
  const [reservation, keepReservation] = useKept(`reservation ${code}`);
  return (
    <main>
      <header>
        <svg width="28" height="28" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="8" fill="#0b756d" />
          <path d="M18 4 8 18h7l-2 10 11-15h-7z" fill="#fff" />
        </svg>
        <h1>{station.data?.name ?? station.data?.location_name ?? t("Charge here")}</h1>
        <button
          type="button"
          className="quiet"
          lang={language === "de" ? "en" : "de"}
          onClick={() => setLanguage(language === "de" ? "en" : "de")}
        >
          {language === "de" ? "English" : "Deutsch"}
        </button>
      </header>
      {station.error !== null && <Trouble error={station.error} />}
      {station.data !== null && (
        <>
          <Place of={station.data} />
          {visit !== null ? (
            <Charging code={code} visit={visit} leave={() => keepVisit(null)} />
          ) : (
            <>
              {reservation !== null && (
                <Reserved code={code} reservation={reservation} leave={() => keepReservation(null)} />
              )}
              <Begin code={code} station={station.data} begun={keepVisit} reserved={keepReservation} />
            </>
          )}
          <Prices of={station.data} />
        </>
      )}
    </main>
  );
}

function useFormatHere() {
  const { t, locale } = useText();
  return makeFormat(locale, t);
}

function useWords(): (error: unknown) => string {
  const { t } = useText();
  return (error) => {
    if (!(error instanceof No)) return t("There is no connection. Check your network and try again.");
    if (error.status === 404) return t("This code belongs to no station. Scan the one on the station again.");
    if (error.status === 409) return t("The station can't do this now. Is it connected, and is the car plugged in?");
    if (error.status === 422) return t("This card may not charge here now.");
    if (error.status === 429) return t("Too many attempts: try again in a minute.");
    return t("Something went wrong here. Try again.");
  };
}

function Trouble({ error }: { error: unknown }) {
  const words = useWords();
  return (
    <p role="alert" className="trouble">
      {words(error)}
    </p>
  );
}

function Place({ of }: { of: Station }) {
  const { t } = useText();
  return (
    <section>
      {(of.location_name || of.location_address) && (
        <p className="faint">{[of.location_name, of.location_address].filter(Boolean).join(", ")}</p>
      )}
      {!of.connected && (
        <p role="alert" className="trouble">
          {t("The station has no connection at the moment: it can't be started from here.")}
        </p>
      )}
      <ul className="evses">
        {of.evses.map((one) => (
          <li key={one.evse_id}>
            {of.evses.length > 1 && <b>{t("EVSE {n}", { n: one.evse_id })}: </b>}
            {t(VIEWS[one.view])}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Prices({ of }: { of: Station }) {
  const { t } = useText();
  const format = useFormatHere();
  return (
    <section>
      <h2>{t("Price")}</h2>
      {of.tariff_text && <p>{of.tariff_text}</p>}
      {of.elements.length === 0 ? (
        <p className="faint">{t("Nothing is charged for here.")}</p>
      ) : (
        <ul>
          {of.elements.flatMap((element) =>
            element.price_components.map((part) => (
              <li key={`${part.type} ${part.price} ${element.restrictions?.start_time}`}>
                {t(DIMENSIONS[part.type].name)}: {format.money(withVat(part.price, part.vat), of.currency)}{" "}
                {t(DIMENSIONS[part.type].per)}
                {element.restrictions?.start_time &&
                  ` (${element.restrictions.start_time}–${element.restrictions.end_time ?? "24:00"})`}
              </li>
            )),
          )}
        </ul>
      )}
      {of.elements.length > 0 && (
        <p className="faint">{t("With VAT, for whoever has no contract. With a card, its contract counts.")}</p>
      )}
    </section>
  );
}

/** As it is paid; the bill itself is made by the server, to the cent. */
function withVat(price: string, vat: string | null | undefined): number {
  return Number(price) * (1 + Number(vat ?? 0) / 100);
}

function Begin({
  code,
  station,
  begun,
  reserved,
}: {
  code: string;
  station: Station;
  begun: (visit: string) => void;
  reserved: (handle: string) => void;
}) {
  const { t } = useText();
  const format = useFormatHere();
  const words = useWords();
  const [token, setToken] = useState("");
  const [evse, setEvse] = useState<number | null>(
    station.evses.length === 1 ? (station.evses[0]?.evse_id ?? null) : null,
  );
  const [minutes, setMinutes] = useState(15);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const path = { path: { code } };

  async function tried(deed: () => Promise<void>) {
    setBusy(true);
    setWrong(null);
    try {
      await deed();
    } catch (error) {
      setWrong(words(error));
    } finally {
      setBusy(false);
    }
  }
  async function began(body: Schemas["StartBody"]) {
    const visit = await asked(api.POST("/api/v1/driver/{code}/start", { params: path, body }));
    if (visit.over) throw new No(409);
    begun(visit.visit);
  }
  const start = (event: FormEvent) => {
    event.preventDefault();
    void tried(() => began({ id_token: token.trim(), evse_id: evse }));
  };
  const pay = (provider: string) =>
    tried(async () => {
      const payment = await asked(
        api.POST("/api/v1/driver/{code}/payments", { params: path, body: { provider, method: "card", evse_id: evse } }),
      );
      if (payment.state !== "authorised") throw new No(422);
      await began({ payment_id: payment.payment_id, evse_id: evse });
    });
  const reserve = () =>
    tried(async () => {
      const made = await asked(
        api.POST("/api/v1/driver/{code}/reservations", {
          params: path,
          body: { id_token: token.trim(), minutes, evse_id: evse },
        }),
      );
      if (made.state !== "accepted") throw new No(409);
      reserved(made.reservation);
    });
  return (
    <section>
      <h2>{t("Charge")}</h2>
      <form onSubmit={start}>
        {station.evses.length > 1 && (
          <label>
            {t("Where")}
            <select
              value={evse ?? ""}
              onChange={(event) => setEvse(event.currentTarget.value === "" ? null : Number(event.currentTarget.value))}
            >
              <option value="">{t("wherever I plug in")}</option>
              {station.evses.map((one) => (
                <option key={one.evse_id} value={one.evse_id}>
                  {t("EVSE {n}", { n: one.evse_id })}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          {t("Number of your card or contract")}
          <input
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            autoComplete="off"
            autoCapitalize="characters"
            required
          />
        </label>
        {wrong !== null && (
          <p role="alert" className="trouble">
            {wrong}
          </p>
        )}
        <button type="submit" disabled={busy || !station.connected || token.trim() === ""}>
          {busy ? t("One moment …") : t("Start charging")}
        </button>
        <div className="row">
          <button
            type="button"
            className="second"
            disabled={busy || !station.connected || token.trim() === ""}
            onClick={() => void reserve()}
          >
            {t("Reserve")}
          </button>
          <label className="inline">
            {t("for")}{" "}
            <select
              value={minutes}
              onChange={(event) => setMinutes(Number(event.currentTarget.value))}
              aria-label={t("For how many minutes")}
            >
              {[15, 30, 60, 120].map((one) => (
                <option key={one} value={one}>
                  {one} min
                </option>
              ))}
            </select>
          </label>
        </div>
      </form>
      {station.currency !== null && station.providers.length > 0 && (
        <>
          <h2>{t("Without a card")}</h2>
          <p className="faint">
            {t("{amount} are held until it is known what it costs; what is left is given back.", {
              amount: format.money(station.hold, station.currency),
            })}
          </p>
          {station.providers.map((provider) => (
            <button
              key={provider}
              type="button"
              className="second"
              disabled={busy || !station.connected}
              onClick={() => void pay(provider)}
            >
              {t("Pay here with {provider}", { provider })}
            </button>
          ))}
        </>
      )}
    </section>
  );
}

function Charging({ code, visit, leave }: { code: string; visit: string; leave: () => void }) {
  const { t } = useText();
  const format = useFormatHere();
  const words = useWords();
  const found = useRegular<Visit>(
    () => asked(api.GET("/api/v1/driver/{code}/visits/{visit}", { params: { path: { code, visit } } })),
    3000,
  );
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const one = found.data;
  async function stop() {
    setBusy(true);
    setWrong(null);
    try {
      await asked(api.POST("/api/v1/driver/{code}/visits/{visit}/stop", { params: { path: { code, visit } } }));
    } catch (error) {
      setWrong(words(error));
    } finally {
      setBusy(false);
      found.again();
    }
  }
  if (one === null)
    return found.error === null ? (
      <p className="faint">{t("One moment …")}</p>
    ) : (
      <Gone error={found.error} leave={leave} />
    );
  const lasted =
    one.started_at === null ? null : (Date.parse(one.ended_at ?? one.now) - Date.parse(one.started_at)) / 1000;
  return (
    <section aria-live="polite">
      <h2>
        {one.charging
          ? t("Your car is charging")
          : one.started_at !== null
            ? t("Charging is finished")
            : one.over
              ? t("It did not begin")
              : t("Plug in your car")}
      </h2>
      {one.started_at === null ? (
        <p>
          {one.over
            ? t("The station said no. Try again, or another place.")
            : t("It begins as soon as the car is plugged in.")}
        </p>
      ) : (
        <dl>
          <div>
            <dt>{t("Energy")}</dt>
            <dd>{format.energy(one.energy_wh)}</dd>
          </div>
          <div>
            <dt>{t("Duration")}</dt>
            <dd>{format.duration(lasted)}</dd>
          </div>
          {one.completes_at !== null && (
            <div>
              <dt>{t("Done at about")}</dt>
              <dd>{format.soon(one.completes_at)}</dd>
            </div>
          )}
          {one.cost !== null && (
            <div>
              <dt>{one.billed ? t("Total") : t("Cost so far")}</dt>
              <dd>{format.money(one.cost, one.currency)}</dd>
            </div>
          )}
        </dl>
      )}
      {wrong !== null && (
        <p role="alert" className="trouble">
          {wrong}
        </p>
      )}
      {one.charging && <Wish key={one.visit} code={code} of={one} changed={found.again} />}
      {one.charging && (
        <button type="button" disabled={busy} onClick={() => void stop()}>
          {busy ? t("One moment …") : t("Stop charging")}
        </button>
      )}
      {one.billed && <Receipt code={code} visit={visit} />}
      {one.over && (
        <button type="button" className="second" onClick={leave}>
          {t("Done")}
        </button>
      )}
      {!one.over && !one.charging && (
        <button type="button" className="quiet" onClick={leave}>
          {t("Back")}
        </button>
      )}
    </section>
  );
}

/** When they leave and how much they want: who says it leaves room for the others. */
function Wish({ code, of, changed }: { code: string; of: Visit; changed: () => void }) {
  const { t } = useText();
  const format = useFormatHere();
  const words = useWords();
  const [departs, setDeparts] = useState(of.departs_at === null ? "" : wallClock(new Date(of.departs_at)));
  const [energy, setEnergy] = useState(of.wanted_energy_wh === null ? "" : String(of.wanted_energy_wh / 1000));
  const [told, tell] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  async function submit(event: FormEvent) {
    event.preventDefault();
    tell(null);
    setWrong(null);
    try {
      const next = await asked(
        api.PUT("/api/v1/driver/{code}/visits/{visit}/wish", {
          params: { path: { code, visit: of.visit } },
          body: {
            departs_at: departs === "" ? null : nextAt(departs, new Date(of.now)).toISOString(),
            energy_wh: energy === "" ? null : Number(energy) * 1000,
          },
        }),
      );
      tell(
        next.departs_at === null
          ? t("Noted.")
          : t("Noted: you leave at {time}.", { time: format.soon(next.departs_at) }),
      );
      changed();
    } catch (error) {
      setWrong(
        error instanceof No && error.status === 422 ? t("This can't be: look at time and energy.") : words(error),
      );
    }
  }
  return (
    <form onSubmit={submit} className="wish">
      <h3>{t("What you need")}</h3>
      <div className="row">
        <label>
          {t("You leave at")}
          <input type="time" value={departs} onChange={(event) => setDeparts(event.currentTarget.value)} />
        </label>
        <label>
          {t("Energy wanted (kWh)")}
          <input
            type="number"
            inputMode="decimal"
            min={1}
            max={500}
            step="any"
            value={energy}
            onChange={(event) => setEnergy(event.currentTarget.value)}
          />
        </label>
      </div>
      {wrong !== null && (
        <p role="alert" className="trouble">
          {wrong}
        </p>
      )}
      {told !== null && <p role="status">{told}</p>}
      <button type="submit" className="second">
        {t("Say so")}
      </button>
    </form>
  );
}

function wallClock(at: Date): string {
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

/** The next time that the clock on the wall shows this. */
function nextAt(clock: string, now: Date): Date {
  const [hours = 0, minutes = 0] = clock.split(":").map(Number);
  const at = new Date(now);
  at.setHours(hours, minutes, 0, 0);
  if (at <= now) at.setDate(at.getDate() + 1);
  return at;
}

function Gone({ error, leave }: { error: unknown; leave: () => void }) {
  const { t } = useText();
  return (
    <section>
      <Trouble error={error} />
      <button type="button" className="second" onClick={leave}>
        {t("Back")}
      </button>
    </section>
  );
}

function Receipt({ code, visit }: { code: string; visit: string }) {
  const { t } = useText();
  const format = useFormatHere();
  const found = useRegular(
    () => asked(api.GET("/api/v1/driver/{code}/visits/{visit}/receipt", { params: { path: { code, visit } } })),
    60_000,
  );
  const receipt = found.data;
  if (receipt === null) return null;
  return (
    <div className="receipt">
      <h3>
        {t("Receipt")} {receipt.number}
      </h3>
      <table>
        <tbody>
          {receipt.lines.map((line) => (
            <tr key={line.text}>
              <td>{line.text}</td>
              <td>{format.money(line.cost.excl_vat, receipt.currency)}</td>
            </tr>
          ))}
          {receipt.taxes.map((tax) => (
            <tr key={`vat ${tax.vat}`}>
              <td>
                {t("VAT {rate} % of {amount}", {
                  rate: tax.vat ?? "0",
                  amount: format.money(tax.excl_vat, receipt.currency),
                })}
              </td>
              <td>{format.money(tax.amount, receipt.currency)}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">{t("Total")}</th>
            <td>
              <b>{format.money(receipt.total.incl_vat, receipt.currency)}</b>
            </td>
          </tr>
        </tbody>
      </table>
      <button type="button" className="quiet" onClick={() => window.print()}>
        {t("Print")}
      </button>
    </div>
  );
}

function Reserved({ code, reservation, leave }: { code: string; reservation: string; leave: () => void }) {
  const { t } = useText();
  const format = useFormatHere();
  const found = useRegular(
    () =>
      asked(api.GET("/api/v1/driver/{code}/reservations/{reservation}", { params: { path: { code, reservation } } })),
    5000,
  );
  const words = useWords();
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const one = found.data;
  if (one === null)
    return found.error instanceof No && found.error.status === 404 ? <Gone error={found.error} leave={leave} /> : null;
  const holds = one.state === "accepted";
  async function giveBack() {
    setBusy(true);
    setWrong(null);
    try {
      if (holds)
        await asked(
          api.DELETE("/api/v1/driver/{code}/reservations/{reservation}", { params: { path: { code, reservation } } }),
        );
      leave();
    } catch (error) {
      setWrong(words(error));
      found.again();
    } finally {
      setBusy(false);
    }
  }
  return (
    <section aria-live="polite">
      <h2>
        {holds
          ? t("Reserved for you until {time}", { time: format.time(one.expires_at) })
          : t("The reservation is over")}
      </h2>
      {wrong !== null && (
        <p role="alert" className="trouble">
          {wrong}
        </p>
      )}
      <button type="button" className="second" disabled={busy} onClick={() => void giveBack()}>
        {holds ? t("Give it back") : t("Done")}
      </button>
    </section>
  );
}
