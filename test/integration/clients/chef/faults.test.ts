import type { ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';

const fixture = useChefStandIn();
const { willAnswer, signIn } = fixture;
const node = { method: 'GET', path: '/nodes/web-1' };

describe('an answer that is no answer to the question', () => {
  test.each([
    ['HTML', '<html>Log in</html>'],
    ['empty', ''],
    ['about another node', { name: 'web-2' }],
    ['without a name', {}],
    ['a list', [{ name: 'web-1' }]],
    ['null', null],
  ])('is a fault where it is %s', async (_, answer) => {
    const exchange = { path: '/nodes/web-1', answer: answer === null ? 'null' : answer };
    for (const method of ['GET', 'DELETE', 'PUT']) willAnswer({ method, ...exchange });
    for (const call of [
      () => fixture.chef.getNode('web-1'),
      () => fixture.chef.deleteNode('web-1'),
      () => fixture.chef.updateNode({ name: 'web-1' }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'rejected' });
    }
  });

  test('is a fault where it leads elsewhere', async () => {
    willAnswer({ ...node, status: 302, headers: { Location: '/login' } });
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({ code: 'rejected' });
  });
});

describe('a refusal', () => {
  test.each([
    [
      403,
      { error: ['missing read permission'] },
      'permission',
      /lacks READ on nodes\/web-1;.* nodes web-1 read$/,
    ],
    [409, { error: ['exists'] }, 'conflict', /409 \(exists\)/],
    [413, 'Content-length too long!', 'too-large', /413 \(Content-length too long!\)/],
    [
      400,
      { error: ['bad'] },
      'rejected',
      /GET http.*\/organizations\/acme\/nodes\/web-1 answered 400 \(bad\)/,
    ],
  ])('with %i is told', async (status, answer, code, message) => {
    willAnswer({ ...node, status, answer });
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('to create is one of the container', async () => {
    willAnswer({ method: 'POST', path: '/nodes', status: 403, answer: { error: ['no'] } });
    const message = expect.stringContaining('knife acl add client dereg containers nodes create');
    await expect(fixture.chef.createNode({ name: 'web-1' })).rejects.toMatchObject({
      code: 'permission',
      message,
    });
  });

  test('to accept our key without a Date leaves both causes open', async () => {
    const act = (response: ServerResponse) => {
      response.sendDate = false;
      response.writeHead(401).end('{"error":["no"]}');
    };
    willAnswer({ ...node, act });
    const message = expect.stringMatching(/key is not that of Chef client dereg.*, or this host's clock/);
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({ code: 'credentials', message });
  });
});

describe('a server in trouble', () => {
  const drop = (response: ServerResponse) => void response.socket?.destroy();

  test.each([
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['503', { status: 503, headers: { 'Retry-After': '0' } }],
    ['a connection reset', { act: drop }],
  ])('is asked again after %s, with a new signature', async (_, trouble) => {
    willAnswer({ ...node, ...trouble }, { ...node, ...trouble }, { ...node, answer: { name: 'web-1' } });
    expect(await fixture.chef.getNode('web-1')).toEqual({ name: 'web-1' });
  });

  test('is given up on after three attempts, with its Retry-After', async () => {
    const busy = { ...node, status: 503 };
    willAnswer(busy, busy, { ...busy, headers: { 'Retry-After': '60' } });
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterMs: 60_000,
    });
  });

  test('that hangs is not waited for', async () => {
    const hang = { ...node, act: () => {} };
    const hasty = signIn({ timeoutMs: 50 });
    willAnswer(hang, hang, hang);
    const message = expect.stringContaining('no answer within 50 ms');
    await expect(hasty.getNode('web-1')).rejects.toMatchObject({ code: 'unavailable', message });
    await hasty.close();
  });

  test('that sends more than 16 MB is not listened to, nor asked again', async () => {
    const large = { ...node, answer: { name: 'web-1', normal: 'x'.repeat(17 << 20) } };
    willAnswer(large);
    await expect(fixture.chef.getNode('web-1')).rejects.toMatchObject({ code: 'rejected' });
  });
});
