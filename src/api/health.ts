import { readFileSync } from 'node:fs';
import { Router } from 'express';
import { describe } from '../errors.ts';

/** A part that this process needs; `ok`, or what is wrong with it. */
interface Probe {
  check: () => Promise<void>;
  /** Whether events cannot be taken without it. */
  vital: boolean;
}

export type Probes = Record<string, Probe>;

/** A probe that is asked again this soon answers with what it found. */
const FRESH_MS = 2_000;
const TIMEOUT_MS = 3_000;

/** `GET /healthz`, `GET /readyz`, `GET /openapi.yaml`: open to everyone, so they tell no names and no secrets. */
export function healthRoutes(probes: Probes): Router {
  const cached = new Map(Object.entries(probes).map(([name, probe]) => [name, remember(probe)]));
  const contract = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');
  return Router()
    .get('/healthz', (_request, response) => {
      response.json({ process: 'ok' });
    })
    .get('/readyz', async (_request, response) => {
      const states = await Promise.all(
        [...cached].map(async ([name, state]) => [name, await state()] as const),
      );
      const ready = states.every(([name, state]) => state === 'ok' || !probes[name]?.vital);
      response.status(ready ? 200 : 503).json(Object.fromEntries(states));
    })
    .get('/openapi.yaml', (_request, response) => {
      response.type('application/yaml').send(contract);
    });
}

function remember(probe: Probe): () => Promise<string> {
  let asked = 0;
  let answer = Promise.resolve('');
  return () => {
    if (Date.now() - asked > FRESH_MS) {
      asked = Date.now();
      answer = state(probe);
    }
    return answer;
  };
}

async function state(probe: Probe): Promise<string> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  try {
    await Promise.race([probe.check(), late]);
    return 'ok';
  } catch (error) {
    return `unreachable: ${describe(error)}`;
  } finally {
    clearTimeout(timer);
  }
}
