// Asking habus, and telling it what to do.

const PREFIX = "api/v1/";

/** What habus refuses: its code, its sentence, its details. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `habus answers ${status}`);
    this.status = status;
    this.code = error?.code ?? "";
    this.details = error?.details ?? {};
  }
}

async function answerOf(path, options) {
  const answer = await fetch(PREFIX + path, options);
  if (answer.status === 401) {
    location.reload();
    throw new Refused(401, { message: "the session is over" });
  }
  const text = await answer.text();
  let said = {};
  try {
    said = text ? JSON.parse(text) : {};
  } catch {
    throw new Refused(answer.status);
  }
  if (!answer.ok) throw new Refused(answer.status, said.error);
  return said;
}

/** The answer of GET /api/v1/<path>; where the session is over the page asks for the token. */
export const ask = (path, signal) => answerOf(path, { headers: { Accept: "application/json" }, signal });

/** The same, or null where this habus does not have it. */
export async function askIfThere(path) {
  try {
    return await ask(path);
  } catch (error) {
    if (error instanceof Refused && [404, 405].includes(error.status)) return null;
    throw error;
  }
}

/** Send a change; only our own page can send this header. */
export function send(method, path, body) {
  const headers = { Accept: "application/json", "X-Habus": "page" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return answerOf(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

/** A query of what is not empty; a list repeats its name. */
export function query(values) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== "") found.append(name, one);
    }
  }
  const text = found.toString();
  return text && `?${text}`;
}

/** The address of GET /api/v1/<path>, for a link or a stream. */
export const address = (path) => PREFIX + path;
