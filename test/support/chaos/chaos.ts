import { setTimeout as delay } from 'node:timers/promises';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { apiClient } from '../api-client.ts';
import { registerNode } from '../chef-server.ts';
import { startHttpProxy } from '../http-proxy.ts';
import { freePort, freshDirectory, until } from '../process.ts';
import { testEnvironment } from '../service.ts';
import { subscriptionsOf } from '../sns-subscriptions.ts';
import { instanceId } from '../termination.ts';
import { startWorld } from '../world.ts';
import { createFaults } from './faults.ts';
import { startFleet } from './fleet.ts';
import { seeded } from './random.ts';
import { type Host, ROADS, telling } from './terminations.ts';
import { allJobs, losses, runMarks } from './verdict.ts';

export interface ChaosOptions {
  seed: number;
  terminations: number;
  /** How long things go wrong, in seconds. */
  seconds: number;
  /** After each of them nothing goes wrong until all is quiet. */
  rounds: number;
  /** Wait between two faults, in milliseconds, on average. */
  pauseMs: number;
  /** Longest time for which a part is away, in milliseconds. */
  longestMs: number;
  /** How long everything may take to be done while nothing goes wrong, in milliseconds, in all rounds together. */
  patienceMs: number;
  /** Told of each thing that happens. */
  tell?: (what: string) => void;
}

export interface ChaosReport {
  /** How often each thing went wrong. */
  faults: Map<string, number>;
  /** Deliveries that were made again. */
  deliveriesRepeated: number;
  /** Attempts of jobs beyond the first, as they count them: an attempt in an outage is none. */
  attemptsRepeated: number;
  /** Of chef-client. */
  runs: number;
  losses: string[];
}

const LIVING = 20;
/** How long a run of chef-client takes. */
const RUN_SECONDS = 1.5;

/**
 * Lets hosts die while processes of the service and Redis are killed, and Chef and Nagios come and go; then looks
 * whether all that was to be done was done, and once.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { seed, terminations, seconds, rounds, pauseMs, longestMs, patienceMs, tell = () => {} } = options;
  const random = seeded(seed);
  const hosts = Array.from({ length: terminations + LIVING }, (_, at): Host => {
    return { name: `${at < terminations ? 'dead' : 'living'}-${at}`, instanceId: instanceId(at) };
  });
  const [dead, living] = [hosts.slice(0, terminations), hosts.slice(terminations)];
  const closing: (() => Promise<unknown>)[] = [];
  try {
    const { aws, ...world } = await startWorld({
      hosts: hosts.map(({ name }) => name),
      queueId: 'chaos',
      redisArguments: ['--appendfsync', 'always'],
    });
    closing.push(world.stop);
    if (!aws) throw new Error('SNS and SQS are missing');
    const chef = await startHttpProxy(world.chef.url);
    closing.push(chef.stop);
    for (let at = 0; at < hosts.length; at += 20)
      await Promise.all(hosts.slice(at, at + 20).map(host => registerNode(world.chef, host)));
    // What a killed poller had in flight comes back sooner than by the service's own default.
    await aws.sqs.send(
      new CreateQueueCommand({
        QueueName: world.publisher.topicArn.split(':').at(-1),
        Attributes: { VisibilityTimeout: '8', ReceiveMessageWaitTimeSeconds: '5' },
      }),
    );

    const port = String(await freePort());
    const directory = freshDirectory('chaos');
    const env = testEnvironment({
      ...world.env,
      LOG_LEVEL: 'info',
      PROVISION: 'true',
      PUBLIC_URL: `http://127.0.0.1:${port}`,
      CHEF_SERVER_URL: chef.url,
      NAGIOS_REQUIRED: 'true',
      MAX_DELETES: '1000000',
      CHEF_CLIENT_COMMAND: `/bin/sh ${STAND_IN} ${directory}/runs ${RUN_SECONDS}`,
    });
    const fleet = await startFleet(env, [
      { ROLES: 'api', PORT: port },
      { ROLES: 'poller' },
      { ROLES: 'worker,trigger' },
      { ROLES: 'worker,poller,trigger' },
    ]);
    closing.push(fleet.stop);
    await until('both subscriptions', async () => {
      await world.publisher.requestConfirmations();
      const subscriptions = await subscriptionsOf(aws, world.publisher.topicArn);
      return subscriptions.length === 2 && subscriptions.every(({ pending }) => !pending);
    });

    const api = apiClient(`http://127.0.0.1:${port}`);
    const teller = await telling({ ...world, aws }, `http://127.0.0.1:${port}`, random);
    const faults = createFaults({ world: { ...world, aws }, chef, fleet, longestMs, random });
    const quiet = async (told: number, whileItRuns: () => void) => {
      const [jobs, trigger, queues] = await Promise.all([allJobs(api), api.trigger(), teller.queues()]);
      if (trigger.state === 'running') whileItRuns();
      return (
        jobs.length >= told &&
        jobs.every(({ state }) => state === 'done') &&
        trigger.state === 'idle' &&
        queues.waiting === 0
      );
    };
    const roundMs = (seconds * 1000) / rounds;
    for (let round = 1; round <= rounds; round++) {
      const ending = dead.slice(((round - 1) * terminations) / rounds, (round * terminations) / rounds);
      tell(`${ending.length} hosts end, ${LIVING} live on`);
      const announcements = ending.map(async host => {
        const [when, road] = [random.next() * roundMs * 0.8, random.pick(ROADS)];
        await delay(when);
        await teller.tell(host, road);
      });
      for (const end = Date.now() + roundMs; Date.now() < end; ) {
        const fault = faults.strike();
        if (fault) tell(fault);
        await delay(random.between(0, 2 * pauseMs));
      }
      await faults.over();
      tell('nothing goes wrong any more');
      await Promise.all(announcements);
      let disturbed = false;
      const disturb = () => {
        if (!disturbed) tell(`in the middle of a chef-client run: ${faults.killWorkers()}`);
        disturbed = true;
      };
      const told = Math.floor((round * terminations) / rounds);
      // What does not come to an end is found by the verdict.
      await until('all to be quiet', () => quiet(told, disturb), patienceMs / rounds).catch(error =>
        tell(String(error)),
      );
      await faults.over();
    }

    const runLog = `${directory}/runs`;
    const found = await losses({ world: { ...world, aws }, api, chef, dead, living, runLog });
    const { dead: deadLetters } = await teller.queues();
    const attempts = (await allJobs(api)).reduce((sum, job) => sum + Math.max(0, job.attempts - 1), 0);
    return {
      faults: faults.counts,
      deliveriesRepeated: teller.repeated,
      attemptsRepeated: attempts,
      runs: runMarks(runLog).filter(({ begins }) => begins).length,
      losses: [...found, ...(deadLetters ? [`${deadLetters} messages in the dead-letter queue`] : [])],
    };
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

const STAND_IN = new URL('../chef-client.sh', import.meta.url).pathname;
