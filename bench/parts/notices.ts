import type { SnsPublisher } from '../../test/support/sns-publisher.ts';
import { terminationNotice } from '../../test/support/termination.ts';
import type { Termination } from './deaths.ts';

/** What SNS delivers when these instances end: signed notices, as bytes. */
export function signedNotices(
  publisher: SnsPublisher,
  deaths: readonly Pick<Termination, 'instanceId'>[],
): Buffer[] {
  return deaths.map(({ instanceId }) =>
    Buffer.from(JSON.stringify(publisher.envelope(terminationNotice(instanceId)), null, 2)),
  );
}
