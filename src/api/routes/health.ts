import { readFileSync } from 'node:fs';
import { Router } from 'express';
import type { Logger } from 'pino';
import { describe } from '../../domain/errors.ts';
import { withTimeLimit } from '../../lib/time-limit.ts';
import { publicReason } from './public-reason.ts';

/** A part that this process needs. */
interface Probe {
  check: () => Promise<void>;
  /** Whether events cannot be taken without it. */
  vital: boolean;
  /** Whether the check itself logs what is wrong. */
  logged?: boolean;
}

export type Probes = Record<string, Probe>;

/** A probe that is asked again this soon answers with what it found. */
const FRESH_MS = 2_000;
const TIMEOUT_MS = 3_000;

/** Each part and its state, `ok` or a general reason, and whether events can be taken. */
export interface Health {
  ready: boolean;
  parts: Record<string, string>;
}

/**
 * Looks at the parts; several looks within two seconds are one. Details are logged: one line when a part cannot be used,
 * one when it can be again.
 */
export function watchHealth(probes: Probes, log: Logger): () => Promise<Health> {
  const looks = Object.entries(probes).map(([name, probe]) => ({
    name,
    probe,
    look: part(name, probe, log),
  }));
  return async () => {
    const states = await Promise.all(
      looks.map(async ({ name, probe, look }) => ({ name, vital: probe.vital, state: await look() })),
    );
    return {
      ready: states.every(({ state, vital }) => state === 'ok' || !vital),
      parts: Object.fromEntries(states.map(({ name, state }) => [name, state])),
    };
  };
}

/** `GET /healthz`, `GET /readyz`, `GET /openapi.yaml`: open to everyone, so they tell no names and no secrets. */
export function healthRoutes(health: () => Promise<Health>): Router {
  const contract = readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8');
  return Router()
    .get('/healthz', (_request, response) => {
      response.json({ process: 'ok' });
    })
    .get('/readyz', async (_request, response) => {
      const { ready, parts } = await health();
      response.status(ready ? 200 : 503).json(parts);
    })
    .get('/openapi.yaml', (_request, response) => {
      response.type('application/yaml').send(contract);
    });
}

function part(name: string, { check, logged = false }: Probe, log: Logger): () => Promise<string> {
  let asked = 0;
  let answer = Promise.resolve('');
  let running: Promise<string> | undefined;
  let told = 'ok';
  const look = () =>
    check()
      .then(
        () => tell('ok', undefined),
        (error: unknown) => tell(publicReason(error), error),
      )
      .finally(() => {
        running = undefined;
      });
  function tell(state: string, error: unknown): string {
    if (state !== told && !logged) {
      if (state === 'ok') log.info({ part: name }, 'can be used again');
      else log.warn({ part: name, err: describe(error) }, 'cannot be used; its jobs wait');
    }
    told = state;
    return state;
  }
  return () => {
    if (Date.now() - asked > FRESH_MS) {
      asked = Date.now();
      // A check that hangs is not started a second time.
      running ??= look();
      answer = withTimeLimit(running, TIMEOUT_MS, () => `unreachable: no answer within ${TIMEOUT_MS} ms`);
    }
    return answer;
  };
}
