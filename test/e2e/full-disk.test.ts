import { globSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { type ChefServer, registerNode, startChefServer, textsOf } from '../support/chef-server.ts';
import { type Mounts, noMounts, openMounts } from '../support/mounts.ts';
import { freshDirectory, until } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from '../support/service.ts';
import { startWebhook, type Webhook } from '../support/webhook.ts';

/** What happens to the disk, and what repairs it; run in its directory. */
const FAULTS = [
  {
    fault: 'full',
    is: 'is full',
    harm: 'cat /dev/zero > filler || true',
    repair: 'rm filler',
    says: 'the disk is full: free some space (ENOSPC)',
  },
  {
    fault: 'nearly-full',
    is: 'has space for something, and not for this node',
    harm: 'cat /dev/zero > filler || true; truncate -s -64K filler',
    repair: 'rm filler',
    says: 'the disk is full: free some space (ENOSPC)',
  },
  {
    fault: 'read-only',
    is: 'became read-only',
    harm: 'mount -o remount,ro .',
    repair: 'mount -o remount,rw .',
    says: 'the file system is read-only: mount it writable (EROFS)',
  },
  {
    fault: 'forbidden',
    is: 'may not be written any more',
    harm: 'chmod 500 archive/temporary',
    repair: 'chmod 700 archive/temporary',
    says: 'not allowed: give the folder to the user that runs the service (EACCES)',
  },
];

/** Root may write everywhere, unless it is told otherwise. */
const UNPRIVILEGED = ['setpriv', '--bounding-set=-dac_override,-dac_read_search'];

describe.skipIf(noMounts)(`where the archive’s disk${noMounts ? ` (not tested: ${noMounts})` : ''}`, () => {
  const disk = freshDirectory('disk');
  let redis: RedisServer;
  let chef: ChefServer;
  let webhook: Webhook;
  let mounts: Mounts;
  let service: ServiceProcess;
  let api: ApiClient;

  beforeAll(async () => {
    [redis, chef, webhook] = await Promise.all([startRedis(), startChefServer(), startWebhook()]);
  });
  beforeEach(async () => {
    mounts = await openMounts(`mount -t tmpfs -o size=2m,mode=700 tmpfs ${disk}`);
    const env = testEnvironment({
      LOG_LEVEL: 'info',
      REDIS_URL: redis.url,
      CHEF_SERVER_URL: chef.url,
      CHEF_CLIENT_NAME: chef.adminName,
      CHEF_CLIENT_KEY: chef.adminKey,
      ARCHIVE_URL: `file://${disk}/archive`,
      ALERT_WEBHOOK_URL: webhook.url,
    });
    service = await startServiceProcess(env, [...mounts.within, ...UNPRIVILEGED]);
    api = apiClient(service.url);
  });
  afterEach(async () => {
    await service?.stop();
    await mounts?.close();
    webhook.alerts.length = 0;
  });
  afterAll(async () => {
    webhook?.stop();
    await Promise.all([redis?.stop(), chef?.stop()]);
  });

  const files = (folder: string) => globSync('**/*.*', { cwd: mounts.path(`${disk}/archive/${folder}`) });

  async function archives(): Promise<{ id: string; node: string }[]> {
    const { status, body } = await api.request('GET', '/archives');
    expect(status).toBe(200);
    return (body as { archives: { id: string; node: string }[] }).archives;
  }

  test.each(FAULTS)(
    '$is, nothing is deleted, what was saved before can be read, and jobs go on once that is repaired',
    async ({ fault, harm, repair, says }) => {
      const saved = `saved-${fault}`;
      const kept = [`kept-${fault}`, `kept-too-${fault}`];
      for (const name of [saved, ...kept]) {
        await registerNode(chef, { name, normal: { large: 'x'.repeat(150_000) } });
      }
      const whole = () => Promise.all(kept.map(name => textsOf(chef, name)));
      const before = await whole();
      await api.event({ kind: 'delete', node: saved });
      await api.settled();
      await mounts.run(`cd ${disk}; ${harm}`);

      const jobs = await Promise.all(kept.map(node => api.event({ kind: 'delete', node })));
      for (const [at, id] of jobs.entries()) {
        const job = await until('the job to wait', async () => {
          const found = await api.job(id);
          return found.state === 'retrying' && found.error && found;
        });
        expect(job.error?.message).toContain(`node ${kept[at]} was not archived in ${disk}/archive`);
        expect(job.error?.message).toContain(says);
      }
      const told = await until('the alert', () => webhook.alerts[0]);
      expect(told).toMatchObject({ name: 'jobs-paused', whatHappened: expect.stringContaining(says) });
      expect(await whole()).toEqual(before);
      const [record, ...others] = await archives();
      expect(others).toEqual([]);
      expect(await api.request('GET', `/archives/${record?.id}`)).toMatchObject({
        status: 200,
        body: { node: saved, chef: { node: { name: saved }, client: { name: saved } } },
      });

      await mounts.run(`cd ${disk}; ${repair}`);
      const done = await api.settled();
      // A disk that takes nothing is not a fault of a job.
      expect(done.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
      expect(await whole()).toEqual(kept.map(() => ({ node: null, client: null })));
      expect((await archives()).map(({ node }) => node).sort()).toEqual([...kept, saved].sort());
      expect(webhook.alerts).toHaveLength(1);
      expect(files('temporary')).toEqual([]);
      expect(files('days')).toHaveLength(3);
    },
  );
});
