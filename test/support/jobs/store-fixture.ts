import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Event, InboundEvent } from '../../../src/domain/event.ts';
import type { JobState } from '../../../src/domain/job.ts';
import { decide } from '../../../src/domain/policy.ts';
import { loadScripts } from '../../../src/jobs/scripts.ts';
import { JobStore, type Token } from '../../../src/jobs/store.ts';

/** A store of its own on a Redis that others use too. */
export interface TestStore {
  redis: Redis;
  prefix: string;
  run: ReturnType<typeof loadScripts>;
  store: JobStore;
  /** Takes an event in, at a second of the test's own clock. */
  accept: (event: Event, news?: Partial<InboundEvent>) => ReturnType<JobStore['accept']>;
  /** What a worker does with a token: @returns the record it works on, or nothing where the token is no longer good. */
  begin: (token: Token) => Promise<Awaited<ReturnType<JobStore['get']>>>;
  /** Works a job of these tokens to a state. @returns the tokens that this set free */
  work: (tokens: Token[], to?: JobState) => Promise<Token[]>;
  close: () => void;
}

export function openStore(redisUrl: string): TestStore {
  const redis = new Redis(redisUrl);
  const prefix = `{${randomUUID()}}`;
  const run = loadScripts(redis, prefix);
  const store = new JobStore(redis, run, prefix);

  const begin: TestStore['begin'] = async token => {
    const [id = '', number = ''] = token.split('.');
    const record = await store.get(id);
    if (record?.run !== Number(number)) return undefined;
    const { moved } = await store.move(record, ['queued', 'running', 'retrying'], 'running');
    return moved ? record : undefined;
  };
  return {
    redis,
    prefix,
    run,
    store,
    begin,
    accept: (event, { publishedAt = new Date(), ...news } = {}) => {
      const kind = decide(event);
      if (kind === 'ignore') throw new Error('nothing to accept');
      return store.accept(
        {
          source: 'sns',
          place: 'aws',
          messageId: randomUUID(),
          publishedAt,
          saidAt: publishedAt,
          ...news,
          event,
        },
        kind,
      );
    },
    work: async (tokens, to = 'done') => {
      const freed: Token[] = [];
      for (const token of tokens) {
        const job = await begin(token);
        if (!job) throw new Error(`${token} is not to be worked`);
        const result = await store.move(job, ['running'], to);
        if (result.moved) freed.push(...result.tokens);
      }
      return freed;
    },
    close: () => redis.disconnect(),
  };
}

export const ended = (instanceId: string): Event => ({
  kind: 'instance-ended',
  notice: 'terminated',
  instanceId,
});
export const ending = (instanceId: string): Event => ({
  kind: 'instance-ending',
  notice: 'spot',
  instanceId,
});
export const says = (method: 'delete' | 'ensure', node: string, instanceId?: string): Event => ({
  kind: 'registration',
  method,
  node,
  ...(instanceId && { instanceId }),
});
/** Of a clock that only these tests know. */
export const at = (second: number) => new Date(second * 1000);
