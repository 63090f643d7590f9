import { afterAll, afterEach, beforeAll } from 'vitest';
import { type ApiClient, apiClient } from './api-client.ts';
import { signHostMessage } from './host-message.ts';
import { runLaterLooks } from './later-looks.ts';
import { until } from './process.ts';
import { type ServiceProcess, startServiceProcess, testEnvironment } from './service.ts';
import type { EnvelopeOptions, SnsPublisher } from './sns-publisher.ts';
import { startWorld, type World, type WorldOptions } from './world.ts';

export const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000);

/** What the Chef server has under one name. */
export interface Registered {
  node: boolean;
  client: boolean;
}

export const WHOLE: Registered = { node: true, client: true };
export const GONE: Registered = { node: false, client: false };

/** The answer of `POST /sns`; `outcome` and `jobId` only if the service accepted the message. */
interface PublishResult {
  status: number;
  outcome: string;
  jobId: string;
}

type Publish = (message: unknown, envelope?: EnvelopeOptions) => Promise<PublishResult>;

/** A running service process. */
export interface SceneService extends ServiceProcess {
  /** Given to `serve` again, with changes, it starts another process of the same installation. */
  env: NodeJS.ProcessEnv;
  api: ApiClient;
  /** Delivers a message from the topic to which only AWS services write, published now unless the envelope says otherwise. */
  publish: Publish;
  /** Does the same with the topic to which hosts write. */
  publishAsHost: Publish;
  /** Waits until every job is done, failed, held or discarded. */
  rested: () => Promise<unknown>;
}

/** Real parts shared by all tests of a file, and service processes that stop at the end of each test. */
export interface Scene {
  readonly world: World;
  serve: (env?: NodeJS.ProcessEnv) => Promise<SceneService>;
  /** Signs a host's message for the topic to which hosts write. @param time @default now */
  signed: (privateKey: string, message: object, time?: Date) => object;
  registered: (name: string) => Promise<Registered>;
  /** Runs now the checks for returned nodes, which are due five and thirty minutes after a deletion. */
  looksDone: (service: SceneService) => Promise<void>;
}

/** Call it at the top of a test file; it registers the hooks that start and stop everything. */
export function useScene(options: Partial<WorldOptions> = {}): Scene {
  let world: World;
  const running: SceneService[] = [];
  beforeAll(async () => {
    world = await startWorld({ hosts: ['watched'], ...options });
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map(service => service.stop()));
  });
  afterAll(() => world?.stop());
  return {
    get world() {
      return world;
    },
    async serve(more = {}) {
      const env = testEnvironment({ ...world.env, LOG_LEVEL: 'info', ...more });
      const service = await startServiceProcess(env);
      const api = apiClient(service.url);
      const started: SceneService = {
        ...service,
        env,
        api,
        publish: deliverTo(service.url, world.publisher),
        publishAsHost: deliverTo(service.url, world.hosts),
        rested: () => rested(api),
      };
      running.push(started);
      return started;
    },
    signed: (privateKey, message, time) =>
      signHostMessage(
        { type: 'registration', ...message },
        { privateKey, topicArn: world.hosts.topicArn, ...(time && { time }) },
      ),
    async registered(name) {
      const { chef } = world.chef;
      const [node, client] = await Promise.all([chef.getNode(name), chef.getClient(name)]);
      return { node: node !== undefined, client: client !== undefined };
    },
    looksDone: ({ env }) => runLaterLooks(world.redis.url, String(env['REDIS_PREFIX'])),
  };
}

function deliverTo(url: string, topic: SnsPublisher): Publish {
  return async (message, envelope) => {
    const { status, body } = await topic.deliver(topic.envelope(message, envelope), `${url}/sns`);
    return { ...JSON.parse(body), status };
  };
}

/** `discarded` is compared as text, since not every release has that state. */
const AT_REST = new Set<string>(['done', 'failed', 'held', 'discarded']);

function rested(api: ApiClient): Promise<unknown> {
  return until(
    'every job to be at rest',
    async () => (await api.jobs()).every(({ state }) => AT_REST.has(state)),
    45_000,
  );
}
