import { api, asked, credentials, type Schemas } from "./client";

/** Who is signed in, and how one signs in. */
export type Me = Schemas["MeResource"];

export async function readMe(): Promise<Me> {
  const me = await asked(api.GET("/api/v1/me"), { signingIn: true });
  credentials.csrfToken = me.csrf_token ?? null;
  return me;
}

export async function signIn(name: string, password: string): Promise<Me> {
  credentials.forget();
  const me = await asked(api.POST("/api/v1/sign-in", { body: { name, password } }), { signingIn: true });
  credentials.csrfToken = me.csrf_token ?? null;
  return me;
}

export async function signOut(): Promise<void> {
  if (credentials.key === null) await asked(api.POST("/api/v1/sign-out"));
  credentials.forget();
}
