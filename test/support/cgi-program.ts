import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

export interface CgiRequest {
  program: string;
  /** The whole environment: request meta-variables and what the program itself wants. */
  env: NodeJS.ProcessEnv;
  body?: Buffer;
  /** Kills the program. */
  signal?: AbortSignal;
}

export interface CgiAnswer {
  status: number;
  headers: [string, string][];
  text: string;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Runs one CGI program for one request (RFC 3875, document responses only). */
export async function runCgi({ program, env, body, signal }: CgiRequest): Promise<CgiAnswer> {
  const child = spawn(program, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      GATEWAY_INTERFACE: 'CGI/1.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_NAME: '127.0.0.1',
      REMOTE_ADDR: '127.0.0.1',
      ...env,
    },
  });
  const kill = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', kill, { once: true });
  running.add(child);
  child.stdin.on('error', () => {});
  child.stdin.end(body);
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const output = await Promise.race([text(child.stdout), failed]).finally(() => {
    signal?.removeEventListener('abort', kill);
    running.delete(child);
  });
  const end = /\r?\n\r?\n/.exec(output);
  if (!end) return { status: 502, headers: [], text: output };
  const answer: CgiAnswer = { status: 200, headers: [], text: output.slice(end.index + end[0].length) };
  for (const line of output.slice(0, end.index).split(/\r?\n/)) {
    const [, name, value] = /^([\w-]+):\s*(.*)$/.exec(line) ?? [];
    if (name?.toLowerCase() === 'status') answer.status = Number.parseInt(value ?? '', 10);
    else if (name) answer.headers.push([name, value ?? '']);
  }
  return answer;
}
