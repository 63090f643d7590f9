import type { Reason } from '../../errors.ts';
import type { JobRecord } from '../record.ts';

/** Why a job does nothing: the opposite was said later. @param at when, in milliseconds since 1970 */
export function overruled({ kind, node, saidAt }: JobRecord, at: number): Reason {
  const [later, earlier] = kind === 'delete' ? ['ensure', 'deletion'] : ['deletion', 'ensure'];
  return {
    code: 'overruled',
    message: `for node ${node} the ${later} of ${new Date(at).toISOString()} was said after this ${earlier} of ${saidAt.toISOString()}, so it wins: nothing was done`,
  };
}
