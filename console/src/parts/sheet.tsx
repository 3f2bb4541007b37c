import { Button, Group, Stack } from "@mantine/core";
import { type FormEvent, type ReactNode, useState } from "react";
import { Dialog } from "./dialog";

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
  const [busy, setBusy] = useState(false);
  async function go(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    const done = await submit();
    setBusy(false);
    if (done !== undefined) close();
  }
  return (
    <Dialog close={close} title={title}>
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
    </Dialog>
  );
}
