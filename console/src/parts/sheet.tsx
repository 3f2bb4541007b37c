import { Button, Group, Modal, Stack } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { useText } from "../i18n/text";

/** A form that is open until what it asks for is done. `submit` gives undefined when it wasn't. */
export function Sheet({
  title,
  yes,
  close,
  submit,
  children,
}: {
  title: string;
  yes: string;
  close: () => void;
  submit: () => Promise<unknown>;
  children: ReactNode;
}) {
  const { t } = useText();
  const [busy, setBusy] = useState(false);
  async function go(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const done = await submit();
    setBusy(false);
    if (done !== undefined) close();
  }
  return (
    <Modal opened onClose={close} title={title} closeButtonProps={{ "aria-label": t("Close") }}>
      <form onSubmit={go}>
        <Stack>
          {children}
          <Group justify="flex-end">
            <Button type="submit" loading={busy}>
              {yes}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
