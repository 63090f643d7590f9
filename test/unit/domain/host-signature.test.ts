import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hostSignatureText, readHostSignature } from '../../../src/domain/host-signature.ts';
import { parseEvent } from '../../../src/domain/parse-event.ts';

const about = { audience: 'terminations', time: '2026-03-02T10:15:42Z', nonce: '0123456789abcdef' };
const value = 'A'.repeat(342);
const signature = { version: '1', ...about, value: `${value}==` };

test('what is signed has every field that is acted upon, and those that are not there without a value', () => {
  const message = { type: 'registration', method: 'deregister', chef_name: 'web-1' };
  expect(hostSignatureText(message, about)).toBe(`version:1
audience:terminations
type:registration
method:deregister
chef_name:web-1
nagios_name:
instance_id:
time:2026-03-02T10:15:42Z
nonce:0123456789abcdef
`);
});

test('two messages that mean different things have different texts to sign', () => {
  const name = fc.stringMatching(/^[\w.:-]{1,12}$/).filter(text => !/^\.+$/.test(text));
  const instance = fc.stringMatching(/^i-[0-9a-f]{8}$/);
  const message = fc.record(
    {
      type: fc.constant('registration'),
      method: fc.constantFrom('delete', 'deregister', 'ensure'),
      chef_name: name,
      nagios_name: fc.option(name),
      instance_id: fc.option(instance),
    },
    { requiredKeys: ['type', 'method', 'chef_name'] },
  );
  fc.assert(
    fc.property(message, message, (one, other) => {
      fc.pre(JSON.stringify(parseEvent(one)) !== JSON.stringify(parseEvent(other)));
      expect(hostSignatureText(one, about)).not.toBe(hostSignatureText(other, about));
    }),
  );
});

function base() {
  return { type: 'registration', method: 'delete', chef_name: 'web-1' };
}

test.each([
  ['an array', [], 'version'],
  ['text', 'signed', 'no object'],
  ['another version', { ...signature, version: 1 }, 'version'],
  ['an audience that is not a name', { ...signature, audience: 'a\nb' }, 'audience'],
  ['a local time', { ...signature, time: '2026-03-02 10:15:42' }, 'time'],
  ['a day that is none', { ...signature, time: '2026-13-02T10:15:42Z' }, 'time'],
  ['a nonce of few bits', { ...signature, nonce: '1' }, 'nonce'],
  ['a value that is no Base64', { ...signature, value: '!'.repeat(344) }, 'value'],
  ['an HMAC', { ...signature, value: 'A'.repeat(44) }, 'value'],
])('%s is not a signature, which differs from none', (_what, given, fault) => {
  expect(readHostSignature({ ...base(), signature: given })).toEqual({
    fault: expect.stringContaining(fault),
  });
});

test('a malformed optional field is signed as it was sent', () => {
  const message = { ...base(), nagios_name: ' a;b ', instance_id: 'i-1', signature };
  expect(parseEvent(message)).toMatchObject({
    dropped: ['nagios_name', 'instance_id'],
    signature: { text: expect.stringContaining('nagios_name: a;b \ninstance_id:i-1\n') },
  });
});

test.each([
  ['a line break', 'web\ninstance_id:i-0a1b2c3d'],
  ['a carriage return', 'web\r'],
  ['an object', { toString: 1 }],
  ['a list', ['web']],
  ['a truth value', true],
])('a field with %s cannot be signed, since it could be read as another message', (_what, nagios_name) => {
  expect(readHostSignature({ ...base(), nagios_name, signature })).toEqual({
    fault: 'nagios_name is not a text on one line',
  });
});

test('no text that a host signs can be split into the fields of another message', () => {
  const odd = fc.string({ unit: fc.constantFrom('a', '\ninstance_id:', '\n'), maxLength: 2 });
  const message = fc.record({
    type: fc.constant('registration'),
    method: fc.constant('delete'),
    chef_name: fc.constant('web-1'),
    nagios_name: odd,
    instance_id: odd,
    signature: fc.constant(signature),
  });
  const read = (from: Record<string, unknown>) => {
    const { signature: made, ...event } = parseEvent(from) as { signature?: object };
    return { event, text: made && 'text' in made ? made.text : undefined };
  };
  fc.assert(
    fc.property(message, message, (one, other) => {
      const [a, b] = [read(one), read(other)];
      if (a.text !== undefined && a.text === b.text) expect(a.event).toEqual(b.event);
    }),
    { numRuns: 1_000 },
  );
});

test('whatever stands in its place is read without an error', () => {
  expect(readHostSignature(base())).toBeUndefined();
  fc.assert(
    fc.property(fc.jsonValue(), given => {
      const event = parseEvent({ ...base(), signature: given });
      expect(event).toMatchObject({ kind: 'registration', node: 'web-1' });
      if (given !== null) expect(event).toHaveProperty('signature.fault');
    }),
  );
});
