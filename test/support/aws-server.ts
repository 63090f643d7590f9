import { type ListenOptions, Server } from 'node:net';
import { parseArgs } from 'node:util';
import { startFauxqs } from 'fauxqs';

const { values } = parseArgs({
  options: { port: { type: 'string' }, region: { type: 'string' }, dir: { type: 'string' } },
});

// startFauxqs listens on every interface and cannot be told otherwise, but only it keeps its state on disk.
const { listen } = Server.prototype;
Object.assign(Server.prototype, {
  listen(this: Server, options: ListenOptions, ready?: () => void) {
    return listen.call(this, { ...options, host: '127.0.0.1' }, ready);
  },
});

const server = await startFauxqs({
  port: Number(values.port ?? 0),
  defaultRegion: values.region ?? 'us-east-1',
  logger: false,
  ...(values.dir !== undefined && { dataDir: values.dir }),
});
console.log(`listening on port ${server.port}`);
