import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import { credentials, Refusal } from "./api/client";
import { type Me, readMe, signOut } from "./api/me";
import { stream } from "./live/stream";
import { NewPassword, SignIn } from "./pages/sign-in";
import { Loading, Trouble } from "./parts/basics";

/** Who looks, and what they may do. The API decides; this only keeps buttons away that would be refused. */
export interface Viewer {
  name: string;
  canSignOut: boolean;
  may: (scope: "read" | "write" | "admin") => boolean;
  signOut: () => void;
}

const Context = createContext<Viewer | null>(null);

export function Session({ children }: { children: ReactNode }) {
  const queries = useQueryClient();
  const me = useQuery<Me>({ queryKey: ["me"], queryFn: readMe, staleTime: Number.POSITIVE_INFINITY });
  useEffect(() => {
    credentials.signedOut = () => {
      stream.stop();
      void queries.resetQueries({ queryKey: ["me"] });
    };
  }, [queries]);
  const signedIn = me.isSuccess && !me.data.must_change_password;
  useEffect(() => {
    if (!signedIn) return;
    stream.start();
    return () => stream.stop();
  }, [signedIn]);
  const viewer = useMemo<Viewer | null>(
    () =>
      me.data === undefined
        ? null
        : {
            name: me.data.full_name ?? me.data.name,
            canSignOut: me.data.kind !== "anybody",
            may: (scope) => me.data.scopes.includes(scope),
            signOut: () => void signOut().finally(() => location.assign("/")),
          },
    [me.data],
  );
  if (me.error instanceof Refusal && me.error.status === 401) return <SignIn done={() => me.refetch()} />;
  if (me.isError && viewer === null) return <Trouble error={me.error} again={() => me.refetch()} />;
  if (viewer === null) return <Loading />;
  if (me.data?.must_change_password) return <NewPassword done={() => me.refetch()} />;
  return <Context.Provider value={viewer}>{children}</Context.Provider>;
}

export function useViewer(): Viewer {
  const viewer = useContext(Context);
  if (viewer === null) throw new Error("nobody is signed in");
  return viewer;
}
