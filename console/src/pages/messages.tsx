import { useText } from "../i18n/text";
import { PageHead } from "../parts/basics";
import Messages from "../parts/messages";

export default function MessagesPage() {
  const { t } = useText();
  return (
    <>
      <PageHead title={t("Messages")} lead={t("Every OCPP message of every station, with its answer")} />
      <section className="card">
        <Messages />
      </section>
    </>
  );
}
