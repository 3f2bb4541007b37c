import { useText } from "../../i18n/text";
import { Certificates, Events } from "../security";

/** What the station reported of its security, and the certificates it carries. */
export default function Safety({ id }: { id: string }) {
  const { t } = useText();
  return (
    <div className="side">
      <h2 className="part">{t("Security events")}</h2>
      <Events station={id} />
      <h2 className="part">{t("Certificates")}</h2>
      <Certificates station={id} />
    </div>
  );
}
