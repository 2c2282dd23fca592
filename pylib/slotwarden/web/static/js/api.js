// Calls of the API. A refusal is thrown as a Problem, with the members of problem+json.

const AGAIN_AFTER_MS = 700;

export class Problem extends Error {
  constructor(members) {
    super(members.detail || members.title);
    Object.assign(this, { fields: {}, ...members });
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// crypto.randomUUID is there on secure origins only.
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({
      status: 0,
      name: "Offline",
      title: "No connection",
      detail: "slotwarden cannot be reached. Nothing is lost; it is tried again.",
    });
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({ title: response.statusText }));
  throw new Problem({ status: response.status, ...problem });
}

export const get = (path, parameters = {}, signal = undefined) => {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== undefined));
  return ask(`${path}${query.size ? `?${query}` : ""}`, { signal });
};

const isLost = (problem) => [0, 504].includes(problem.status);
const isRefusal = (problem) => problem.sqlstate?.startsWith("SW");
const LOST = "It may have been carried out, or not. Asked for once more, it is not done twice.";

function outcomeUnknown(problem) {
  const members = { status: problem.status, name: "OutcomeUnknown", title: "The answer was lost" };
  return new Problem({ ...members, detail: isLost(problem) ? LOST : `${problem.message} ${LOST}` });
}

const json = (method, headers, body) => ({
  method,
  headers: { "content-type": "application/json", ...headers },
  body: body && JSON.stringify(body),
});

// The key lets a call be repeated whose answer was lost: it is carried out once. `unsettled` keeps the
// keys of such calls as long as the form is there from which they may be repeated once more.
async function change(method, path, body, { version, unsettled = new Map() } = {}) {
  const call = [method, path, version, JSON.stringify(body)].join("\n");
  const key = unsettled.get(call) ?? newKey();
  const match = version === undefined ? {} : { "if-match": `"${version}"` };
  const options = json(method, { "idempotency-key": key, ...match }, body);
  let lost = unsettled.has(call);
  for (const again of [true, false]) {
    try {
      const answer = await ask(path, options);
      unsettled.delete(call);
      return answer;
    } catch (problem) {
      // Under the same key a refusal says that the call before it did nothing either.
      if (isRefusal(problem)) unsettled.delete(call);
      lost ||= isLost(problem);
      if (isRefusal(problem) || !lost) throw problem;
      unsettled.set(call, key);
      if (!again || !isLost(problem)) throw outcomeUnknown(problem);
    }
    await pause(AGAIN_AFTER_MS);
  }
}

const channelPath = (channel) => `/api/channels/${encodeURIComponent(channel)}`;

export const channels = () => get("/api/channels");
export const channel = (name) => get(channelPath(name));
export const read = (name, what, parameters, signal) =>
  get(`${channelPath(name)}/${what}`, parameters, signal);
export const eventsPath = (name, from, days) =>
  `${channelPath(name)}/events?${new URLSearchParams({ from, days })}`;
export const feedPath = (name, token) =>
  `${channelPath(name)}/calendar.ics${token ? `?${new URLSearchParams({ token })}` : ""}`;

const reservationPath = (entry) => `/api/reservations/${entry.reservation_id}`;

export const enter = (token) => ask("/api/session", json("POST", {}, { token }));
export const reserve = (name, wish, unsettled) =>
  change("POST", `${channelPath(name)}/reservations`, wish, { unsettled });
export const reserveNext = (name, wish, unsettled) =>
  change("POST", `${channelPath(name)}/reservations/next`, wish, { unsettled });
export const move = (entry, wish, unsettled) =>
  change("PATCH", reservationPath(entry), wish, { version: entry.version, unsettled });
export const retry = (entry, wish, unsettled) =>
  change("POST", `${reservationPath(entry)}/retry`, wish, { version: entry.version, unsettled });
export const cancel = (entry) =>
  change("DELETE", reservationPath(entry), undefined, { version: entry.version });
