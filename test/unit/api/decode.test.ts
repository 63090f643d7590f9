import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode } from '../../../src/api/decode.ts';

const BOM = '\uFEFF';
const message = { Event: 'autoscaling:TEST_NOTIFICATION', text: 'Ünïcode "quoted"' };
const json = JSON.stringify(message);

test.each([
  ['JSON', json],
  ['JSON after a byte order mark', BOM + json],
  ['JSON in a JSON string', JSON.stringify(json)],
  ['JSON in a JSON string, after a byte order mark', BOM + JSON.stringify(json)],
  ['JSON in a JSON string, with a byte order mark in it', JSON.stringify(BOM + json)],
  ['JSON in a JSON string in a JSON string', JSON.stringify(JSON.stringify(json))],
  ['Base64', Buffer.from(json).toString('base64')],
  ['Base64 of JSON after a byte order mark', Buffer.from(BOM + json).toString('base64')],
  ['JSON with blanks around it', `\n ${json}\r\n`],
])('%s is read', (_, text) => expect(decode(text)).toEqual(message));

test.each(['', 'just text', '{', BOM, JSON.stringify('just text'), `x${json}`])('%j is not JSON', text => {
  expect(decode(text)).toBeUndefined();
});

test('any JSON is read, in every wrapping, and no text is an error', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), value => {
      const text = JSON.stringify(value);
      const same = JSON.parse(text);
      for (const wrapped of [text, BOM + text, JSON.stringify(text), Buffer.from(text).toString('base64')]) {
        expect(decode(wrapped)).toEqual(same);
      }
    }),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void decode(text)));
});
