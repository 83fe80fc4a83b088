// Asking habus.

/** The answer of GET /api/v1/<path>; where the session is over the page asks for the token. */
export async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { headers: { Accept: "application/json" } });
  if (answer.status === 401) {
    location.reload();
    throw new Error("the session is over");
  }
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error?.message ?? `habus answers ${answer.status}`);
  return said;
}
