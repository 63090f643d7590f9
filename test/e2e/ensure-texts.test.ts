import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JsonObject } from '../../src/domain/json.ts';
import { keyPair, nodeOf } from '../support/chef-server.ts';
import { type EnsureFixture, startEnsureFixture, stepStates } from '../support/ensure-fixture.ts';

let fixture: EnsureFixture;

beforeAll(async () => {
  fixture = await startEnsureFixture();
});

afterAll(() => fixture?.stop());

const UNICODE = 'Grüße, 世界 \u{1f600} \u2028 </script> & "quoted" \\ \t';

function deep(levels: number): JsonObject {
  return levels === 0 ? { leaf: [1, 1.5, true, null, 'x'] } : { level: deep(levels - 1), n: levels };
}

/** What chef-client saves of a host with a policyfile; `policy_name` at the top of a node is what goiardi refuses. */
const policyfile: JsonObject = {
  run_list: ['recipe[web::default@1.2.3]', 'recipe[base::users@0.4.1]'],
  automatic: {
    policy_name: 'web',
    policy_group: 'prod',
    policy_revision: '322f1aa9d7c0b4d6c0a3f5c5c0ffee0c0ffee0c0ffee0c0ffee0c0ffee0c0ffee',
    chef_environment: 'prod',
    roles: [],
    recipes: ['web::default@1.2.3', 'base::users@0.4.1'],
    cookbooks: { web: { version: '1.2.3' }, base: { version: '0.4.1' } },
    filesystem: deep(60),
    packages: Object.fromEntries(
      Array.from({ length: 9_000 }, (_, n) => [
        `p-${n}`,
        { version: `1.${n}`, 'long-description': `ü${'x'.repeat(60)}` },
      ]),
    ),
  },
  normal: { greeting: UNICODE, tags: ['ä'] },
};

const NODES: [string, JsonObject][] = [
  ['unicode', { normal: { greeting: UNICODE, tags: ['ä'] } }],
  ['deep', { automatic: deep(60), override: deep(20), default: { a: { b: deep(5) } } }],
  ['policyfile', policyfile],
];

test.each(NODES)(
  'a node with %s content is restored byte for byte, and its old key saves it again',
  async (name, fields) => {
    const { chef } = fixture.world.chef;
    const { publicKey, privateKey } = keyPair();
    await chef.createClient({ name, public_key: publicKey });
    await chef.createNode({ ...nodeOf({ name, environment: 'prod' }), ...fields });
    const before = await fixture.whole(name);
    expect(JSON.parse(before.node ?? '')).toMatchObject(fields);
    if (name === 'policyfile') expect(before.node?.length).toBeGreaterThan(900_000);

    await fixture.ask('delete', name);
    await fixture.expectGone(name);
    const job = await fixture.ask('ensure', name);
    expect(stepStates(job)).toMatchObject({
      alert: 'done',
      find: 'done',
      'recreate-client': 'done',
      'recreate-node': 'done',
    });
    expect(await fixture.whole(name)).toEqual(before);
    await fixture.saveAsHost(name, privateKey);
  },
);
