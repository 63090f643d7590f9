import type { Job } from '../src/domain/job.ts';
import { apiClient } from '../test/support/api-client.ts';
import { keyPair } from '../test/support/chef-server.ts';
import { signHostMessage } from '../test/support/host-message.ts';
import { until } from '../test/support/process.ts';
import { testEnvironment } from '../test/support/service.ts';
import { terminationNotice } from '../test/support/termination.ts';
import { startWorld, type World } from '../test/support/world.ts';
import type { Measured, Section } from './measured.ts';
import { startBareLoop } from './parts/bare-loop.ts';
import { stepAt } from './parts/fleet.ts';
import { type Keep, keeping } from './parts/keeping.ts';
import { registerHosts } from './parts/registration.ts';
import { startMeasuredService } from './parts/service.ts';
import { newTerminations, type Termination } from './parts/terminations.ts';
import { median, quantile } from './statistics.ts';

const TERMINATIONS = 60;
const WARM_UP = 10;

/** How a termination is told, and whether Nagios is to be announced it. */
interface Variant {
  by: 'name' | 'instance id';
  nagios: boolean;
}

const VARIANTS: Variant[] = [
  { by: 'name', nagios: false },
  { by: 'instance id', nagios: false },
  { by: 'name', nagios: true },
];

export const reaction: Section = {
  title:
    'Reaction: one termination after another on an idle system, from the SNS POST to the deletion of the node',
  async measure(tell) {
    const plans = VARIANTS.map(variant => ({ ...variant, ...newBatches() }));
    const hosts = plans.flatMap(({ nagios, ours, bare }) => (nagios ? [...ours, ...bare] : []));
    const world = await startWorld({ hosts: hosts.map(({ node }) => node) });
    try {
      const measured: Measured[] = [];
      for (const plan of plans) measured.push(...(await keeping(keep => react(world, plan, keep, tell))));
      return measured;
    } finally {
      await world.stop();
    }
  },
};

interface Batches {
  ours: Termination[];
  bare: Termination[];
}

function newBatches(): Batches {
  return { ours: newTerminations(WARM_UP + TERMINATIONS), bare: newTerminations(WARM_UP + TERMINATIONS) };
}

async function react(
  world: World,
  { by, nagios, ours, bare }: Variant & Batches,
  keep: Keep,
  tell: (line: string) => void,
): Promise<Measured[]> {
  const { publicKey, privateKey } = keyPair();
  await registerHosts(world.chef, [...ours, ...bare], publicKey);
  const { NAGIOS_URL, ...withoutNagios } = world.env;
  const env = testEnvironment({
    ...(nagios ? world.env : withoutNagios),
    LOG_LEVEL: 'info',
    MAX_DELETES: '1000000',
  });
  const service = keep(await startMeasuredService({ ...env, ROLES: 'api,worker,trigger' }));
  // Looks at the jobs, so that looking costs the one that is measured nothing.
  const observer = keep(await startMeasuredService({ ...env, ROLES: 'api' }));
  const { chef } = world;
  const topic = by === 'name' ? world.hosts : world.publisher;
  const loop = keep(
    await startBareLoop({
      chef: { url: chef.url, clientName: chef.adminName, key: chef.adminKey },
      nagios: nagios ? world.nagios : undefined,
    }),
  );

  const report = ({ node, instanceId }: Termination) =>
    by === 'instance id'
      ? terminationNotice(instanceId)
      : signHostMessage(
          { type: 'registration', method: 'delete', chef_name: node, instance_id: instanceId },
          { privateKey, topicArn: topic.topicArn },
        );
  /** @returns milliseconds from the POST to the deletion */
  const goneByUs = async (termination: Termination) => {
    const message = topic.envelope(report(termination));
    const begun = Date.now();
    const { status, body } = await topic.deliver(message, `${service.url}/sns`);
    const { outcome, jobId } = JSON.parse(body);
    if (outcome !== 'accepted')
      throw new Error(`the termination of ${termination.node} was answered ${status}: ${body}`);
    const job = await verified(observer.url, jobId);
    return Date.parse(stepAt(job, 'delete-node') ?? '') - begun;
  };
  const goneByLoop = async (termination: Termination) => {
    const first = by === 'name' ? 'key' : 'search';
    const { goneMs } = await loop.clear([termination], 1, { first, proof: false });
    return goneMs[0] ?? Number.NaN;
  };

  const times: Record<'ours' | 'bare', number[]> = { ours: [], bare: [] };
  for (const [at, termination] of ours.entries()) {
    const [mine, other] = [await goneByUs(termination), bare[at] ? await goneByLoop(bare[at]) : Number.NaN];
    if (at < WARM_UP) continue;
    times.ours.push(mine);
    times.bare.push(other);
  }
  const what = `Announced by ${by}${nagios ? ', with Nagios' : ''}`;
  const lines = [
    line(`${what}, median of ${TERMINATIONS}`, median(times.ours), median(times.bare)),
    line(`${what}, p99`, quantile(times.ours, 0.99), quantile(times.bare, 0.99)),
  ];
  for (const { what, ours, against } of lines) tell(`${what}: ${ours} ms, ${against?.value.toFixed(0)} ms`);
  return lines;
}

/** The job once node and client were seen gone. */
function verified(url: string, id: string): Promise<Job> {
  return until(`job ${id} to have deleted its node`, async () => {
    const job = await apiClient(url).job(id);
    if (job.state === 'held' || job.state === 'failed') throw new Error(job.error?.message);
    return stepAt(job, 'verify') !== undefined && job;
  });
}

function line(what: string, ours: number, bare: number): Measured {
  return {
    what,
    ours,
    unit: 'ms',
    against: { what: 'the calls it must make', value: bare },
    ratio: ours / bare,
    goal: { atMost: 1.3 },
  };
}
