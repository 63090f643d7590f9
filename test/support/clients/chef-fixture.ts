import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { ChefClient } from '../../../src/clients/chef/client.ts';
import { type ChefStandIn, type Exchange, startChefStandIn } from './chef-stand-in.ts';

/** A stand-in for all tests of a file, which fails each that did not ask it exactly what it was to be asked. */
export interface ChefFixture {
  readonly server: ChefStandIn;
  /** Signed in, another one for each test. */
  readonly chef: ChefClient;
  willAnswer: (...exchanges: Exchange[]) => void;
  /** One more client, for the test to close. */
  signIn: (options: { timeoutMs?: number; connections?: number }) => ChefClient;
}

export function useChefStandIn(): ChefFixture {
  let server: ChefStandIn;
  let chef: ChefClient;
  const signIn: ChefFixture['signIn'] = options => {
    const { url, clientName, privateKey: key } = server;
    return new ChefClient({ url, clientName, key, ...options });
  };
  beforeAll(async () => {
    server = await startChefStandIn();
  });
  beforeEach(() => {
    chef = signIn({});
  });
  afterEach(async () => {
    await chef.close();
    server.check();
  });
  afterAll(() => server?.stop());
  return {
    get server() {
      return server;
    },
    get chef() {
      return chef;
    },
    willAnswer: (...exchanges) => server.willAnswer(...exchanges),
    signIn,
  };
}
