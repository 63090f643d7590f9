import type { Reason } from '../../domain/errors.ts';
import type { JobRecord } from '../record.ts';

/**
 * Why a job does nothing: the opposite was said later.
 * @param at when, in milliseconds since 1970
 * @param by who said so
 */
export function overruled({ kind, node, saidAt }: JobRecord, at: number, by: 'person' | 'host'): Reason {
  const [later, earlier] = kind === 'delete' ? ['ensure', 'deletion'] : ['deletion', 'ensure'];
  return {
    code: 'overruled',
    message: `for node ${node} the ${later} of ${new Date(at).toISOString()} was said after this ${earlier} of ${saidAt.toISOString()}, so it wins: nothing was done`,
    by,
  };
}

/** The `ensure` that overrules a deletion. @param last what was last said; milliseconds since 1970 */
export function overruledByEnsure(job: JobRecord, last: { ensured: number; restored: number }): Reason {
  return overruled(job, last.ensured, last.restored >= last.ensured ? 'person' : 'host');
}
