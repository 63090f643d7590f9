import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { VerifySns } from '../../../../src/api/sns/verify.ts';
import { readMessage } from '../../../../src/api/sqs/message.ts';
import { AppError } from '../../../../src/domain/errors.ts';
import type { PlaceOf } from '../../../../src/domain/places.ts';

const ending = { type: 'registration', method: 'delete', chef_name: 'web-1' };
const verifiesNothing: VerifySns = () => Promise.reject(new AppError('untrusted', 'not believed'));

const placeOf: PlaceOf = { ofTopic: () => 'aws', ofQueue: () => 'hosts' };

function message(body: string) {
  return {
    queueUrl: 'https://sqs.eu-west-1.amazonaws.com/1/q',
    id: 'sqs-id',
    receipt: 'receipt',
    body,
    sentAt: new Date(),
    receiveCount: 1,
  };
}

test('whatever lies in a queue is read or refused, and never throws anything else', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc.json().map(json => Buffer.from(json).toString('base64')),
    fc.json().map(json => JSON.stringify(json)),
    fc
      .record({ ...fields(), Type: fc.anything(), 'detail-type': fc.anything() })
      .map(each => JSON.stringify(each)),
  );
  await fc.assert(
    fc.asyncProperty(text, async body => {
      const refusal = await readMessage(message(body ?? ''), verifiesNothing, placeOf).catch(
        (error: unknown) => error,
      );
      expect(refusal).toBeInstanceOf(AppError);
    }),
  );
});

test('what looks like SNS’s own is never read without its signature, however it is wrapped', async () => {
  const wrapped = fc.constantFrom(
    (json: string) => json,
    (json: string) => JSON.stringify(json),
    (json: string) => Buffer.from(json).toString('base64'),
  );
  const part = fc.subarray(['TopicArn', 'Signature', 'SigningCertURL'], { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(wrapped, part, fc.string(), async (wrap, names, Type) => {
      const marks = Object.fromEntries(names.map(name => [name, null]));
      const body = wrap(JSON.stringify({ ...ending, ...marks, Type, Message: JSON.stringify(ending) }));
      await expect(readMessage(message(body), verifiesNothing, placeOf)).rejects.toMatchObject({
        code: 'untrusted',
      });
    }),
  );
});

function fields() {
  return {
    type: fc.constant('registration'),
    method: fc.anything(),
    chef_name: fc.constantFrom('..', '', null),
  };
}
