import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLiving } from '../../src/cli/living.ts';
import { instanceId } from '../support/termination.ts';

test('a list of instance ids is read however it is written', () => {
  const id = fc.integer({ min: 0, max: 1e9 }).map(instanceId);
  const written = fc.constantFrom<(ids: string[]) => string>(
    ids => ids.join('\n'),
    ids => ids.join('\t'),
    ids => JSON.stringify(ids, null, 2),
    ids => `${ids.join(', ')}\r\n`,
  );
  fc.assert(
    fc.property(fc.array(id), written, (ids, write) => {
      expect([...parseLiving(write(ids))]).toEqual([...new Set(ids)]);
    }),
  );
});
