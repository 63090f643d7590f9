import { parseArgs } from 'node:util';
import { AppError, describe } from './errors.ts';
import { isInstanceId } from './names.ts';

export interface SweepArguments {
  /** Path of a list of living instances, or `-` for standard input; EC2 is asked where undefined. */
  living: string | undefined;
  /** Regions to ask EC2 in; the configured one where there are none. */
  regions: string[];
  json: boolean;
  apply: boolean;
  mostAreDead: boolean;
  help: boolean;
}

export const SWEEP_USAGE = `Shows the ghosts: Chef nodes whose EC2 instance has ended, the longest unseen first.

  npm run sweep -- [--living FILE|-] [--region REGION]… [--json] [--apply [--most-are-dead]]

  --living FILE    ids of the instances that live, from a file or standard input (-), instead of asking EC2
  --region REGION  ask EC2 there, in place of AWS_REGION; may be given several times
  --json           for programs
  --apply          hand each ghost to the service as a deletion, which goes through its guards and its budget;
                   without it nothing is changed
  --most-are-dead  apply even where no instance lives, or more than half of all nodes are ghosts

Exit status: 0 done, 1 something could not be reached, 2 wrong arguments, list or settings, 3 refused to apply.
`;

/** @throws AppError `invalid` */
export function readSweepArguments(args: readonly string[]): SweepArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        living: { type: 'string' },
        region: { type: 'string', multiple: true, default: [] },
        json: { type: 'boolean', default: false },
        apply: { type: 'boolean', default: false },
        'most-are-dead': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const { living, region: regions, json, apply, help } = values;
    if (living !== undefined && regions.length > 0)
      throw new Error('--region goes with EC2, not with --living');
    return { living, regions, json, apply, help, mostAreDead: values['most-are-dead'] };
  } catch (error) {
    throw new AppError('invalid', `${describe(error)}; --help tells what there is`);
  }
}

/**
 * Instance ids, apart by white space or commas; brackets and quotes of JSON are passed over, so that what the AWS CLI
 * prints can be given as it is.
 * @throws AppError `invalid` with the first word that is no instance id
 */
export function parseLiving(text: string): Map<string, string> {
  const living = new Map<string, string>();
  for (const [at, line] of text.split('\n').entries()) {
    for (const word of line.split(/[\s,"'[\]]+/).filter(Boolean)) {
      if (isInstanceId(word)) living.set(word, 'running');
      else throw notAnId(word, at + 1);
    }
  }
  return living;
}

function notAnId(word: string, line: number): AppError {
  const what = JSON.stringify(word.slice(0, 40));
  return new AppError('invalid', `the list of living instances has ${what} in line ${line}: no instance id`);
}
