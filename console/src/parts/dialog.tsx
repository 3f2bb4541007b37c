import { Modal } from "@mantine/core";
import { type KeyboardEvent, type ReactNode, useEffect, useState } from "react";
import { useText } from "../i18n/text";

/** Fields in which Tab stops several times. */
const OF_SEVERAL_STOPS = "input[type=date], input[type=time], input[type=datetime-local]";

/**
 * In those the browser goes on by itself, and right: there is always something before and after them here. The trap would
 * correct it a moment later, and so take back the next Tab of somebody who is faster than that.
 */
function leaveToTheBrowser(event: KeyboardEvent) {
  if (event.key === "Tab" && event.target instanceof Element && event.target.matches(OF_SEVERAL_STOPS))
    event.stopPropagation();
}

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
      onKeyDown={leaveToTheBrowser}
      closeButtonProps={{ "aria-label": t("Close") }}
    >
      {children}
    </Modal>
  );
}
