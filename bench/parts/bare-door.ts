import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { Queue } from 'bullmq';
import express from 'express';
import { Redis } from 'ioredis';

// The least that an ingest route could do: it verifies nothing, and keeps what it gets.
const { values } = parseArgs({
  options: {
    redis: { type: 'string' },
    prefix: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
  },
});
const { redis = '', prefix = '', cert, key } = values;
const queue = new Queue('notices', { connection: new Redis(redis, { maxRetriesPerRequest: null }), prefix });
const app = express().post('/sns', express.json({ type: () => true }), async (request, response) => {
  const job = await queue.add('notice', request.body);
  response.json({ outcome: 'accepted', jobId: job.id });
});
const server =
  cert && key
    ? createHttpsServer({ cert: readFileSync(cert), key: readFileSync(key) }, app)
    : createHttpServer(app);
// As long as the service keeps a connection: none is made again in the middle of a measurement.
server.keepAliveTimeout = 65_000;
server.listen(0, '127.0.0.1', () => {
  console.log(`listening on port ${(server.address() as AddressInfo).port}`);
});
