import type { Redis } from 'ioredis';
import { Pool } from 'undici';
import type { Load, Send } from '../load.ts';
import type { Door } from './doors.ts';

/** Delivers notices to an API as SNS does, over connections that stay open. */
export interface Knocker {
  /**
   * Empties Redis first, so that every notice is new; the time ends when Redis keeps each: a record of ours, a job of
   * BullMQ's.
   */
  knock: (load: (send: Send) => Promise<Load>) => Promise<Load>;
  close: () => Promise<void>;
}

export interface KnockerOptions {
  door: Door;
  redis: Redis;
  connections: number;
  /** PEM */
  ca: string;
  bodies: readonly Buffer[];
}

const HEADERS = {
  'content-type': 'text/plain; charset=UTF-8',
  'x-amz-sns-message-type': 'Notification',
  'user-agent': 'Amazon Simple Notification Service Agent',
};
/** For what is accepted and not seen in Redis yet. */
const PATIENCE_MS = 10_000;

export function openKnocker({ door, redis, connections, ca, bodies }: KnockerOptions): Knocker {
  const pool = new Pool(door.url, { connections, connect: { ca } });

  const send: Send = async n => {
    const body = bodies[n];
    if (!body) throw new Error(`only ${bodies.length} notices are signed, and more are wanted`);
    const answer = await pool.request({ method: 'POST', path: '/sns', headers: HEADERS, body });
    const said = await answer.body.text();
    if (answer.statusCode !== 200 || !said.startsWith('{"outcome":"accepted"'))
      throw new Error(`POST ${door.url}/sns answered ${answer.statusCode}: ${said}`);
  };

  return {
    async knock(load) {
      await redis.flushall();
      const begun = performance.now();
      const done = await load(send);
      const answered = performance.now();
      let kept: number;
      do kept = await door.kept(redis);
      while (kept < done.requests && performance.now() < answered + PATIENCE_MS);
      const seconds = (performance.now() - begun) / 1000;
      if (kept !== done.requests) throw new Error(`${door.url} accepted ${done.requests} and keeps ${kept}`);
      return { ...done, perSecond: done.requests / seconds };
    },
    close: () => pool.close(),
  };
}
