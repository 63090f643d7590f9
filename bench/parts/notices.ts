import type { SnsPublisher } from '../../test/support/sns-publisher.ts';
import { terminationNotice } from '../../test/support/termination.ts';
import type { Termination } from './terminations.ts';

/** What SNS delivers when these instances end: signed notices, as bytes. */
export function signedNotices(
  publisher: SnsPublisher,
  terminations: readonly Pick<Termination, 'instanceId'>[],
): Buffer[] {
  return terminations.map(({ instanceId }) =>
    Buffer.from(JSON.stringify(publisher.envelope(terminationNotice(instanceId)), null, 2)),
  );
}
