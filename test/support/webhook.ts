import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Alert } from '../../src/domain/alert.ts';

/** Takes alerts as Slack does. */
export interface Webhook {
  url: string;
  alerts: (Alert & { text: string })[];
  stop: () => void;
}

export async function startWebhook(): Promise<Webhook> {
  const alerts: Webhook['alerts'] = [];
  const server = createServer(async (request, response) => {
    alerts.push((await json(request)) as Webhook['alerts'][number]);
    response.end('ok');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    alerts,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
