import { Modal } from "@mantine/core";
import { type ReactNode, useEffect, useState } from "react";
import { useText } from "../i18n/text";

/** A dialog that is there as long as it is rendered; whatever had the focus before has it again afterwards. */
export function Dialog({
  title,
  close,
  size = "md",
  children,
}: {
  title: ReactNode;
  close: () => void;
  size?: string;
  children: ReactNode;
}) {
  const { t } = useText();
  const [opener] = useState(() => document.activeElement);
  useEffect(
    () => () => {
      // After the dialog itself is gone, and unless another one has taken the focus meanwhile.
      setTimeout(() => {
        const lost = document.activeElement === null || document.activeElement === document.body;
        if (!lost) return;
        if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
        else document.getElementById("main")?.focus();
      });
    },
    [opener],
  );
  return (
    <Modal
      opened
      onClose={close}
      title={title}
      size={size}
      returnFocus={false}
      closeButtonProps={{ "aria-label": t("Close") }}
    >
      {children}
    </Modal>
  );
}
