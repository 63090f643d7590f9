import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, serveParent, startChild } from './child.ts';
import type { Termination } from './terminations.ts';

/** A cheap local server in place of one whose own work would be the limit. */
export interface StandIn {
  url: string;
  pid: number;
  /** Has it know these hosts from now on. */
  register: (terminations: Termination[]) => Promise<void>;
  /** What it was asked since the last report, by kind of call. @throws where it was asked what it does not know */
  report: () => Promise<StandInReport>;
  stop: () => Promise<void>;
}

interface StandInReport {
  calls: Record<string, number>;
  /** Hosts that were registered with it and that are not yet as they must be in the end. */
  open: number;
}

export interface Asked {
  method: string;
  /** With the query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Answer {
  /** Kind of call, by which it is counted: `GET nodes`. */
  call: string;
  status?: number;
  headers?: Record<string, string>;
  text: string;
}

interface Behaviour {
  /** Undefined refuses. */
  answer: (asked: Asked) => Answer | undefined;
  register: (termination: Termination) => void;
  open: () => number;
}

type Question = { kind: 'url' } | { kind: 'register'; terminations: Termination[] } | { kind: 'report' };

/** @param latencyMs from the last byte of a request to the first of its answer */
export async function startStandIn(module: string, latencyMs: number): Promise<StandIn> {
  const child: Child = await startChild(module, [String(latencyMs)]);
  const ask = <T>(question: Question) => child.ask<T>(question);
  return {
    url: await ask<string>({ kind: 'url' }),
    pid: child.pid,
    register: terminations => ask({ kind: 'register', terminations }),
    async report() {
      const { refused, ...report } = await ask<StandInReport & { refused: string[] }>({ kind: 'report' });
      if (refused.length > 0) throw new Error(`${module} was asked ${refused.slice(0, 3).join(', ')}`);
      return report;
    },
    stop: child.stop,
  };
}

/** In its process. */
export function serveStandIn({ answer, register, open }: Behaviour): void {
  const latencyMs = Number(process.argv[2]);
  let calls: Record<string, number> = {};
  let refused: string[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    const body = await text(request);
    const found = answer({ method, path, headers, body });
    if (!found) refused.push(`${method} ${path} ${body.slice(0, 200)}`);
    const call = found?.call ?? 'refused';
    calls[call] = (calls[call] ?? 0) + 1;
    if (latencyMs > 0) await delay(latencyMs);
    if (found) response.writeHead(found.status ?? 200, found.headers).end(found.text);
    else response.writeHead(500).end('the stand-in does not know this call');
  });
  const listening = new Promise<string>(resolve => {
    server.listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    );
  });
  serveParent<Question>(question => {
    if (question.kind === 'url') return listening;
    if (question.kind === 'register') return question.terminations.forEach(register);
    const report = { calls, refused, open: open() };
    calls = {};
    refused = [];
    return report;
  });
}
