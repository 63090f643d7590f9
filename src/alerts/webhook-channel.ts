import { HttpClient, type ObserveCall } from '../clients/http/request.ts';
import { type Alert, inWords } from '../domain/alert.ts';
import { AppError } from '../domain/errors.ts';
import type { AlertChannel } from './channel.ts';

export interface WebhookOptions {
  /** The whole URL is a secret: anyone who knows it can post. */
  url: URL;
  /** Limit of one attempt in milliseconds. @default 10,000 */
  timeoutMs?: number;
  observe?: ObserveCall | undefined;
}

const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Alerts as JSON by POST, `text` first: what Slack and those like it show, and all else of the alert after it.
 * Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
 */
export function webhookAlerts({ url, timeoutMs = 10_000, observe }: WebhookOptions): AlertChannel {
  const limits = { timeoutMs, attempts: 1, connections: 2, maxBytes: MAX_ANSWER_BYTES, observe };
  const http = new HttpClient({ service: 'alert webhook', ...limits });
  const target = new URL(url);
  target.username = target.password = '';
  const headers = { 'Content-Type': 'application/json', ...authorization(url) };

  return {
    name: 'webhook',
    async send(alert) {
      const body = JSON.stringify({ text: inWords(alert), ...alert } satisfies Alert & { text: string });
      const { status } = await http
        .request({ method: 'POST', url: target, headers: () => headers, body, repeatable: false })
        .catch((error: unknown) => {
          throw withoutUrl(error);
        });
      if (status < 200 || status > 299)
        throw new AppError('rejected', `the alert webhook answered ${status}`);
    },
    close: () => http.close(),
  };
}

/** User and password of a URL are sent as HTTP Basic. */
function authorization({ username, password }: URL): { Authorization?: string } {
  if (!username && !password) return {};
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { Authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

/** The error without its message and causes as they are: the message names the URL, and an answer may repeat it. */
function withoutUrl(error: unknown): AppError {
  const known = error instanceof AppError ? error : undefined;
  const [, status] = / answered (\d{3})/.exec(known?.message ?? '') ?? [];
  const why = status
    ? `answered ${status}`
    : `could not be reached${known?.cause ? ` (${codeOf(known.cause)})` : ''}`;
  return new AppError('unavailable', `the alert webhook ${why}`, { retryAfterMs: known?.retryAfterMs });
}

/** `ECONNREFUSED` and its like. */
function codeOf(cause: unknown): string {
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.name : 'no reason given';
}
