const KEY = 'chef-deregistration-token';
/** Waits before the stream is opened again, in milliseconds. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5_000;
/** The service sends something every 15 seconds. */
const SILENT_MS = 40_000;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set(value) {
    sessionStorage.setItem(KEY, value);
    token.lend();
  },
  /** Lets the queue's page have the token until the browser is closed. A link carries no header, but a cookie. */
  lend() {
    setCookie(encodeURIComponent(token.get()));
  },
  forget() {
    sessionStorage.removeItem(KEY);
    setCookie('', '; Max-Age=0');
  },
};

/** Only the path of the queue's page is sent the cookie. @param lifetime @default until the browser is closed */
function setCookie(value, lifetime = '') {
  const secure = location.protocol === 'https:' ? '; Secure' : '';
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API needs HTTPS, and the service may stand behind localhost
  document.cookie = `${KEY}=${value}; Path=/queues; SameSite=Strict${lifetime}${secure}`;
}

const headers = () => ({ authorization: `Bearer ${token.get()}` });

/** @throws {ApiError} with the service's own words */
export async function call(method, path, body) {
  return (await send(method, path, { body })).answer;
}

/**
 * @param {{ body?: object, ifMatch?: string }} options ifMatch: the tag of what was shown
 * @throws {ApiError} with the service's own words
 */
export async function send(method, path, { body, ifMatch } = {}) {
  const response = await fetch(path, {
    method,
    headers: {
      ...headers(),
      ...(body && { 'content-type': 'application/json' }),
      ...(ifMatch && { 'if-match': ifMatch }),
    },
    body: body && JSON.stringify(body),
  }).catch(() => {
    throw new ApiError(0, 'The service cannot be reached.');
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return { answer, tag: response.headers.get('etag') };
  throw new ApiError(response.status, answer.detail ?? `The service answered ${response.status}.`);
}

/** The state of each part; the service says so with 503, too. */
export const health = () => fetch('/readyz').then(response => response.json());

export function query(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
}

/**
 * Reads GET /live forever; EventSource cannot send the token.
 * @param {(event: string, data: unknown) => void} onEvent
 * @param {(live: boolean) => void} onState
 */
export async function listen(onEvent, onState) {
  for (let wait = FIRST_WAIT_MS; token.get(); wait = Math.min(LONGEST_WAIT_MS, 2 * wait)) {
    try {
      const ending = new AbortController();
      const response = await fetch('/live', { headers: headers(), signal: ending.signal });
      if (response.status === 401) return onEvent('unauthenticated', {});
      if (response.ok) {
        wait = FIRST_WAIT_MS;
        onState(true);
        await readEvents(response.body, ending, onEvent);
      }
    } catch {
      // The service is away or was restarted: again after the wait.
    }
    onState(false);
    await new Promise(resolve => setTimeout(resolve, wait));
  }
}

async function readEvents(body, ending, onEvent) {
  let buffer = '';
  let silence = setTimeout(() => ending.abort(), SILENT_MS);
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    clearTimeout(silence);
    silence = setTimeout(() => ending.abort(), SILENT_MS);
    const blocks = (buffer + text).split('\n\n');
    buffer = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, event] = /^event: (.*)$/m.exec(block) ?? [];
      const [, data] = /^data: (.*)$/m.exec(block) ?? [];
      if (event) onEvent(event, JSON.parse(data ?? '{}'));
    }
  }
  clearTimeout(silence);
}
