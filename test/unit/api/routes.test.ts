import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type ApiDependencies, createApp } from '../../../src/api/app.ts';
import { documentedRoutes } from '../../support/api/contract.ts';
import { routesOf } from '../../support/api/routes.ts';

test('every route is in openapi.yaml, and everything in openapi.yaml is routed', () => {
  // Its routes are looked at and not called, so what they would call is not there.
  const nothing = { tokens: new Map(), log: pino({ level: 'silent' }) };
  expect(routesOf(createApp(nothing as unknown as ApiDependencies))).toEqual(documentedRoutes());
});
