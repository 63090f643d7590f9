import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe } from '../../src/domain/errors.ts';

/** A part of the benchmark in a process of its own, so that it shares no event loop with what it is measured against. */
export interface Child {
  pid: number;
  /** Rejects where the child failed, with its error. */
  ask: <Answer>(question: object) => Promise<Answer>;
  stop: () => Promise<void>;
}

interface Reply {
  id: number;
  answer?: unknown;
  error?: string;
}

/** Starts a module that calls `serveParent`. */
export async function startChild(module: string, args: string[] = []): Promise<Child> {
  const child = fork(module, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let questions = 0;
  child.on('message', ({ id, answer, error }: Reply) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asked?.resolve(answer);
    else asked?.reject(new Error(error));
  });
  const ended = once(child, 'exit').then(([code]) => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} ended with ${code}`));
  });
  const ask: Child['ask'] = async <Answer>(question: object) => {
    const asked = Promise.withResolvers<unknown>();
    const id = ++questions;
    waiting.set(id, asked);
    child.send({ id, question });
    return (await asked.promise) as Answer;
  };
  return {
    pid: child.pid ?? 0,
    ask,
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** In the child: answers what the parent asks, and ends when the parent lets go or dies. */
export function serveParent<Question>(answer: (question: Question) => unknown): void {
  process.on('disconnect', () => process.exit());
  process.on('message', async ({ id, question }: { id: number; question: Question }) => {
    try {
      process.send?.({ id, answer: (await answer(question)) ?? null } satisfies Reply);
    } catch (error) {
      process.send?.({ id, error: describe(error) } satisfies Reply);
    }
  });
}
