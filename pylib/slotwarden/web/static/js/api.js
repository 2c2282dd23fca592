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

// Keys of calls of which nobody knows whether they were carried out.
const unsettled = new Map();

const isLost = (problem) => [0, 504].includes(problem.status);
const isRefusal = (problem) => problem.sqlstate?.startsWith("SW");

// The key lets a call be repeated whose answer was lost, here or by whoever asks for the same once
// more: it is carried out once.
async function change(method, path, body, version) {
  const text = body && JSON.stringify(body);
  const call = [method, path, version, text].join("\n");
  const key = unsettled.get(call) ?? newKey();
  const headers = { "content-type": "application/json", "idempotency-key": key };
  if (version !== undefined) headers["if-match"] = `"${version}"`;
  let lost = unsettled.has(call);
  for (const again of [true, false]) {
    try {
      const answer = await ask(path, { method, headers, body: text });
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

const outcomeUnknown = (problem) =>
  new Problem({
    status: problem.status,
    name: "OutcomeUnknown",
    title: "The answer was lost",
    detail: "So it may have been carried out, or not. Asked for once more, it is not done twice.",
  });

const channelPath = (channel) => `/api/channels/${encodeURIComponent(channel)}`;

export const channels = () => get("/api/channels");
export const channel = (name) => get(channelPath(name));
export const read = (name, what, parameters, signal) =>
  get(`${channelPath(name)}/${what}`, parameters, signal);
export const eventsPath = (name, from, days) =>
  `${channelPath(name)}/events?${new URLSearchParams({ from, days })}`;
export const feedPath = (name, token) =>
  `${channelPath(name)}/calendar.ics${token ? `?${new URLSearchParams({ token })}` : ""}`;

export const enter = (token) => change("POST", "/api/session", { token });
export const reserve = (name, wish) => change("POST", `${channelPath(name)}/reservations`, wish);
export const reserveNext = (name, wish) =>
  change("POST", `${channelPath(name)}/reservations/next`, wish);
export const move = (entry, date, time) =>
  change("PATCH", `/api/reservations/${entry.reservation_id}`, { date, time }, entry.version);
export const retry = (entry, date, time) =>
  change("POST", `/api/reservations/${entry.reservation_id}/retry`, { date, time }, entry.version);
export const cancel = (entry) =>
  change("DELETE", `/api/reservations/${entry.reservation_id}`, undefined, entry.version);
