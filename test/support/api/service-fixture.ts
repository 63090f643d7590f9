import { generateKeyPairSync } from 'node:crypto';
import request from 'supertest';
import type { Service } from '../../../src/app/service.ts';
import { startTestService, TOKEN } from '../service.ts';

/** Settings for the API alone: what is accepted stays queued, since nothing works it. */
export function apiOnly(redisUrl: string): NodeJS.ProcessEnv {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return {
    ROLES: 'api',
    REDIS_URL: redisUrl,
    CHEF_SERVER_URL: 'http://127.0.0.1:1',
    CHEF_CLIENT_NAME: 'janitor',
    CHEF_CLIENT_KEY: privateKey,
  };
}

export function startApi(redisUrl: string, env: NodeJS.ProcessEnv = {}): Promise<Service> {
  return startTestService({ ...apiOnly(redisUrl), ...env });
}

export const asOperator = { authorization: `Bearer ${TOKEN}` };

/** What is queued, newest first. */
export async function queued(url: string): Promise<{ id: string; node: string }[]> {
  const { body } = await request(url).get('/jobs').query({ limit: 500 }).set(asOperator).expect(200);
  return body.jobs;
}
