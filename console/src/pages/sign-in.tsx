import { Alert, Anchor, Button, Checkbox, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { api, asked, credentials, Refusal } from "../api/client";
import { readMe, signIn } from "../api/me";
import { useText } from "../i18n/text";
import { useTrouble } from "../parts/basics";
import { Brand } from "../parts/brand";

/** By name and password, by an identity provider, or with an API key. */
export function SignIn({ done }: { done: () => unknown }) {
  const { t } = useText();
  const [byKey, setByKey] = useState(false);
  const ways = useQuery({
    queryKey: ["ways in"],
    queryFn: () => asked(api.GET("/api/v1/sign-in"), { signingIn: true }),
    retry: false,
  });
  return (
    <main className="sign-in">
      <div className="card">
        <Stack>
          <Brand />
          <h1 className="sign-in-title">{t("Sign in")}</h1>
          {ways.data?.oidc_url && (
            <Button component="a" href={ways.data.oidc_url} variant="default">
              {ways.data.oidc_label}
            </Button>
          )}
          {byKey ? <ByKey done={done} /> : <ByPassword done={done} />}
          <Anchor component="button" type="button" size="sm" onClick={() => setByKey(!byKey)}>
            {byKey ? t("Sign in by name and password") : t("Sign in with an API key")}
          </Anchor>
        </Stack>
      </div>
    </main>
  );
}

function Form({
  submit,
  yes,
  wrong,
  children,
}: {
  submit: () => Promise<unknown>;
  yes: string;
  wrong: (error: unknown) => string;
  children: ReactNode;
}) {
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<string | null>(null);
  async function go(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    setRefused(null);
    try {
      await submit();
    } catch (error) {
      setRefused(wrong(error));
    } finally {
      setBusy(false);
    }
  }
  return (
    <form onSubmit={go}>
      <Stack>
        {children}
        {refused !== null && (
          <Alert color="red" role="alert">
            {refused}
          </Alert>
        )}
        <Button type="submit" loading={busy}>
          {yes}
        </Button>
      </Stack>
    </form>
  );
}

function ByPassword({ done }: { done: () => unknown }) {
  const { t } = useText();
  const trouble = useTrouble();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  return (
    <Form
      yes={t("Sign in")}
      submit={async () => {
        await signIn(name.trim(), password);
        await done();
      }}
      wrong={(error) =>
        error instanceof Refusal && error.status === 401
          ? t("Name or password is wrong.")
          : error instanceof Refusal && error.status === 429
            ? t("Too many attempts: try again in a minute.")
            : trouble(error).advice
      }
    >
      <TextInput
        label={t("Name")}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        autoComplete="username"
        required
        autoFocus
      />
      <PasswordInput
        label={t("Password")}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        autoComplete="current-password"
        required
      />
    </Form>
  );
}

function ByKey({ done }: { done: () => unknown }) {
  const { t } = useText();
  const trouble = useTrouble();
  const [key, setKey] = useState("");
  const [remember, setRemember] = useState(false);
  return (
    <Form
      yes={t("Sign in")}
      submit={async () => {
        credentials.keep(key.trim(), remember);
        try {
          await readMe();
        } catch (error) {
          credentials.forget();
          throw error;
        }
        await done();
      }}
      wrong={(error) =>
        error instanceof Refusal && error.status === 401
          ? t("This key is none, was revoked, or has run out.")
          : trouble(error).advice
      }
    >
      <PasswordInput
        label={t("API key")}
        description={t("Printed once at the first run; more are made on the page Keys.")}
        value={key}
        onChange={(event) => setKey(event.currentTarget.value)}
        autoComplete="off"
        required
        autoFocus
      />
      <Checkbox
        label={t("Stay signed in on this device")}
        checked={remember}
        onChange={(event) => setRemember(event.currentTarget.checked)}
      />
    </Form>
  );
}

/** Whoever came with a password that somebody else gave out sets one of their own first. */
export function NewPassword({ done }: { done: () => unknown }) {
  const { t } = useText();
  const trouble = useTrouble();
  const [before, setBefore] = useState("");
  const [after, setAfter] = useState("");
  return (
    <main className="sign-in">
      <div className="card">
        <Stack>
          <Brand />
          <h1 className="sign-in-title">{t("Set your own password")}</h1>
          <p className="small faint">{t("The one you came with was for one use.")}</p>
          <Form
            yes={t("Set")}
            submit={async () => {
              await asked(api.PUT("/api/v1/me/password", { body: { current_password: before, new_password: after } }), {
                signingIn: true,
              });
              await done();
            }}
            wrong={(error) => trouble(error).advice}
          >
            <PasswordInput
              label={t("Password you came with")}
              value={before}
              onChange={(event) => setBefore(event.currentTarget.value)}
              autoComplete="current-password"
              required
              autoFocus
            />
            <PasswordInput
              label={t("New password")}
              value={after}
              onChange={(event) => setAfter(event.currentTarget.value)}
              autoComplete="new-password"
              required
            />
          </Form>
        </Stack>
      </div>
    </main>
  );
}
