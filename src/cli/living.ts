import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { describe } from '../errors.ts';
import { isInstanceId } from '../names.ts';
import { CliError } from './error.ts';

/**
 * The instances that live, with their state.
 * @param path of their list, or `-` for standard input
 * @throws CliError `usage`
 */
export async function readLiving(path: string, stdin: NodeJS.ReadableStream): Promise<Map<string, string>> {
  const list = await (path === '-' ? text(stdin) : readFile(path, 'utf8')).catch((error: unknown) => {
    const why = describe(error);
    throw new CliError('usage', `the list of living instances ${path} cannot be read: ${why}`);
  });
  return parseLiving(list);
}

/**
 * Instance ids, apart by white space or commas; brackets and quotes of JSON are passed over, so that what the AWS CLI
 * prints can be given as it is.
 * @throws CliError `usage` with the first word that is no instance id
 */
export function parseLiving(list: string): Map<string, string> {
  const living = new Map<string, string>();
  for (const [at, line] of list.split('\n').entries()) {
    for (const word of line.split(/[\s,"'[\]]+/).filter(Boolean)) {
      if (isInstanceId(word)) living.set(word, 'running');
      else throw notAnId(word, at + 1);
    }
  }
  return living;
}

function notAnId(word: string, line: number): CliError {
  const what = JSON.stringify(word.slice(0, 40));
  return new CliError('usage', `the list of living instances has ${what} in line ${line}: no instance id`);
}
