import { Pool } from 'undici';
import type { Job } from '../../src/domain/job.ts';
import { TOKEN } from '../../test/support/service.ts';
import { median } from '../statistics.ts';

const WARM_UP = 40;
const TIMES = 60;

/** Asks one service as the page, the command line and Prometheus do. */
export interface Asker {
  /** The body of a good answer. @throws Error where it is none */
  get: (path: string) => Promise<string>;
  close: () => Promise<void>;
}

export function openAsker(url: string): Asker {
  const pool = new Pool(url, { connections: 1 });
  const headers = { authorization: `Bearer ${TOKEN}` };
  return {
    async get(path) {
      const { statusCode, body } = await pool.request({ method: 'GET', path, headers });
      const said = await body.text();
      if (statusCode !== 200) throw new Error(`GET ${path} answered ${statusCode}: ${said}`);
      return said;
    },
    close: () => pool.close(),
  };
}

/** What is asked, by the name that the table gives it; of node and instance a job is known. */
function questions({ node, instanceId }: Pick<Job, 'node' | 'instanceId'>): Record<string, string> {
  return {
    'GET /jobs': '/jobs',
    // The seq of the fifty-first job that there ever was: the page is the last one.
    'GET /jobs, last page': '/jobs?cursor=51',
    'GET /jobs of a state': '/jobs?state=done',
    'GET /jobs of a kind': '/jobs?kind=delete',
    'GET /jobs of a node': `/jobs?node=${node}`,
    'GET /jobs of an instance': `/jobs?instanceId=${instanceId}`,
    'GET / (the page)': '/',
    'GET /summary': '/summary',
    'GET /metrics': '/metrics',
  };
}

/** Median milliseconds of each answer by each service, which are asked in turn, one question at a time. */
export async function timeAnswers(
  services: readonly { asker: Asker; known: Pick<Job, 'node' | 'instanceId'> }[],
): Promise<Record<string, number>[]> {
  const asked = services.map(({ asker, known }) => ({
    asker,
    questions: Object.entries(questions(known)).map(([name, path]) => ({
      name,
      path,
      times: [] as number[],
    })),
  }));
  for (let turn = -WARM_UP; turn < TIMES; turn++) {
    for (const { asker, questions } of asked) {
      for (const { path, times } of questions) {
        const begun = performance.now();
        await asker.get(path);
        if (turn >= 0) times.push(performance.now() - begun);
      }
    }
  }
  return asked.map(({ questions }) =>
    Object.fromEntries(questions.map(({ name, times }) => [name, median(times)])),
  );
}
