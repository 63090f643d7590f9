import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { registerNode } from '../support/chef-server.ts';
import { until } from '../support/process.ts';
import { startTestService, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

interface Span {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
}
/** OTLP's JSON, as far as it is looked at. Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
interface Export {
  resourceSpans: { scopeSpans: { spans: Span[] }[] }[];
}

let world: World;
let worker: Service;
let doors: Service;
const spans: Span[] = [];
const collector = createServer(async (request, response) => {
  expect(request.url).toBe('/v1/traces');
  const { resourceSpans } = (await json(request)) as Export;
  spans.push(...resourceSpans.flatMap(each => each.scopeSpans.flatMap(scope => scope.spans)));
  response.setHeader('Content-Type', 'application/json').end('{}');
});

beforeAll(async () => {
  await new Promise<void>(resolve => collector.listen(0, '127.0.0.1', resolve));
  world = await startWorld({ hosts: ['web-1'] });
  const env = testEnvironment({
    ...world.env,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`,
  });
  worker = await startTestService({ ...env, ROLES: 'worker' });
  doors = await startTestService({ ...env, ROLES: 'api' });
});
afterAll(async () => {
  await doors?.close('end of the tests');
  await worker?.close('end of the tests');
  await world?.stop();
  collector.close();
});

test('one trace leads from the POST of SNS to the last step, in whichever process that is', async () => {
  await registerNode(world.chef, { name: 'web-1', instanceId: instanceId(1) });
  await world.publisher.deliver(
    world.publisher.envelope(terminationNotice(instanceId(1))),
    `${doors.url}/sns`,
  );
  const named = (name: string) => until(`the span ${name}`, () => spans.find(span => span.name === name));
  const request = await named('POST /sns');
  const receive = await named('receive sns');
  const last = await named('step confirm-downtime');
  expect(request.parentSpanId).toBeFalsy();
  expect(receive.parentSpanId).toBe(request.spanId);
  expect(last.parentSpanId).toBe(receive.spanId);
  expect(spans.filter(span => span.name.startsWith('step '))).toHaveLength(8);
  expect(new Set(spans.map(span => span.traceId)).size).toBe(1);
});
