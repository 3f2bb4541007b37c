import { Button } from "@mantine/core";
import { useState } from "react";
import { useText } from "../../i18n/text";
import { useViewer } from "../../session";
import { Fetch, FirmwareJobs, LogJobs, Update } from "../jobs";

/** What runs on the station, and what it has to tell about itself. */
export default function Upkeep({ id, version }: { id: string; version: string | null | undefined }) {
  const { t } = useText();
  const viewer = useViewer();
  const [form, open] = useState<"firmware" | "log" | null>(null);
  return (
    <div className="side">
      <div className="card-head">
        <h2 className="part">
          {t("Firmware")} <span className="faint small">{version ?? t("The station has not told its version.")}</span>
        </h2>
        {viewer.may("write") && (
          <Button size="xs" onClick={() => open("firmware")}>
            {t("Update firmware")}
          </Button>
        )}
      </div>
      <FirmwareJobs station={id} />
      <div className="card-head">
        <h2 className="part">{t("Logs")}</h2>
        {viewer.may("write") && (
          <Button size="xs" variant="default" onClick={() => open("log")}>
            {t("Fetch a log")}
          </Button>
        )}
      </div>
      <LogJobs station={id} />
      {form === "firmware" && <Update at={id} close={() => open(null)} />}
      {form === "log" && <Fetch at={id} close={() => open(null)} />}
    </div>
  );
}
