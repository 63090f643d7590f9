import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Service } from '../../src/app/service.ts';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { startBrowser } from '../support/browser.ts';
import { registerNode } from '../support/chef-server.ts';
import { freshDirectory, until } from '../support/process.ts';
import { startTestService, TOKEN, testEnvironment } from '../support/service.ts';
import { instanceId, terminationNotice } from '../support/termination.ts';
import { startWorld, type World } from '../support/world.ts';

/** `SCREENSHOTS=docs` makes those of the documentation. */
const SCREENSHOTS = process.env['SCREENSHOTS'] ?? freshDirectory('screenshots');
const HOSTS = ['web-1', 'web-2', 'web-3', 'db-1'];

let world: World;
let env: NodeJS.ProcessEnv;
let service: Service;
let api: ApiClient;
let browser: Browser;
let page: Page;
/** What no page may do. */
const faults: string[] = [];

beforeAll(async () => {
  [world, browser] = await Promise.all([startWorld({ hosts: HOSTS }), startBrowser()]);
  env = testEnvironment({ ...world.env, PROTECTED_NODES: 'db-*' });
  service = await startTestService(env);
  api = apiClient(service.url);
  for (const [at, name] of HOSTS.entries()) {
    await registerNode(world.chef, { name, instanceId: instanceId(at + 1) });
  }
  page = await open();
});
afterAll(async () => {
  await browser?.close();
  await service?.close('end of the tests');
  await world?.stop();
});

async function open(options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    locale: 'en-GB',
    ...options,
  });
  context.setDefaultTimeout(30_000);
  const opened = await context.newPage();
  opened.on('console', said => {
    if (['error', 'warning'].includes(said.type())) faults.push(`${said.text()} ${said.location().url}`);
  });
  opened.on('pageerror', error => faults.push(error.message));
  opened.on('request', request => {
    if (!request.url().startsWith(service.url)) faults.push(`asked ${request.url()}`);
  });
  return opened;
}

async function signIn(to: Page): Promise<void> {
  await to.goto(service.url);
  await to.getByLabel(/^Token/).fill(TOKEN);
  await to.keyboard.press('Enter');
  await to.getByText('live', { exact: true }).waitFor();
}

const row = (name: string, state: string) =>
  page
    .locator('#job-list > li')
    .filter({ hasText: name })
    .filter({ has: page.locator(`.badge.${state}`) });

/** What axe finds serious in what is shown now. */
async function seriousFaults(of: Page): Promise<string[]> {
  // Content-Security-Policy holds for scripts of the page, not for what the test evaluates.
  await of.evaluate(axe.source);
  const { violations } = await of
    .evaluate('axe.run()')
    .then(found => found as { violations: { id: string; impact: string; nodes: { html: string }[] }[] });
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(node => node.html).join(' ')}`);
}

async function terminate(number: number): Promise<void> {
  const notice = world.publisher.envelope(terminationNotice(instanceId(number)));
  expect(await world.publisher.deliver(notice, `${service.url}/sns`)).toMatchObject({ status: 200 });
}

test('a wrong token is reported, and nothing is shown', async () => {
  await page.goto(service.url);
  await page.getByLabel(/^Token/).fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('send Authorization: Bearer').waitFor();
  expect(await page.locator('#board').isVisible()).toBe(false);
  expect(await seriousFaults(page)).toEqual([]);
  // The browser itself says on the console that an answer was 401.
  faults.splice(0);
});

test('a termination goes through before the eyes of who signed in', async () => {
  await signIn(page);
  await page.getByText('No jobs.').waitFor();
  await terminate(1);
  await row('web-1', 'done').waitFor();
  await row('web-1', 'done').getByRole('button').click();
  await row('web-1', 'done').getByRole('button', { expanded: true }).waitFor();
  const steps = row('web-1', 'done').getByRole('list', { name: 'Steps' });
  for (const step of ['archive', 'delete-client', 'delete-node'])
    await steps.getByText(step, { exact: true }).waitFor();
  expect(await world.chef.chef.getNode('web-1')).toBeUndefined();
});

test('the terminations of the hour are drawn, stacked by outcome, and listed in a table', async () => {
  await page.locator('figure rect.done title').filter({ hasText: '1 done' }).waitFor({ state: 'attached' });
  const bar = await page.locator('figure rect.done').last().boundingBox();
  expect(bar?.height).toBeGreaterThan(10);
  expect(await page.locator('figure table tbody tr').first().innerText()).toMatch(/1\s+0\s+0\s+0\s+0$/);
});

test('a held job is approved by keyboard alone', async () => {
  await api.event({ kind: 'delete', node: 'db-1', reason: 'decommissioned' });
  await row('db-1', 'held').getByText('is protected by PROTECTED_NODES').waitFor();
  await page.locator('figure rect.held').first().waitFor({ state: 'attached' });
  await page.screenshot({ path: shot('page-light'), fullPage: true });

  await row('db-1', 'held').getByRole('button', { name: 'Approve' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByText('PROTECTED_NODES').waitFor();
  expect(await seriousFaults(page)).toEqual([]);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await row('db-1', 'done').waitFor();
  expect(await world.chef.chef.getNode('db-1')).toBeUndefined();
  expect((await api.jobs('node=db-1'))[0]?.approvedBy).toBe('tests');
});

test('a held job is discarded, and another deletion of its node is held for itself', async () => {
  await registerNode(world.chef, { name: 'db-2' });
  await api.event({ kind: 'delete', node: 'db-2' });
  await row('db-2', 'held').getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Discard' }).click();
  await row('db-2', 'discarded').waitFor();
  await api.event({ kind: 'delete', node: 'db-2' });
  await row('db-2', 'held').waitFor();
});

test('a node is restored from its archive, which tells what would come back', async () => {
  const archive = page.locator('#archive-list > li').filter({ hasText: 'web-1' });
  await archive.getByRole('button', { name: /^web-1/ }).click();
  await archive.getByText('Run list').waitFor();
  await archive.getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
  await row('ensure', 'done').waitFor();
  expect(await world.chef.chef.getNode('web-1')).toBeDefined();
  await until('the chef-client run', async () => (await api.trigger()).pendingDeletes === 0);
  await page.getByText('exit code 0').waitFor();
  await page.getByText('Its output').click();
  await page.getByText('Infra Phase complete').waitFor();
});

test('jobs are filtered by node, instance and state, and the filter holds for what comes in', async () => {
  const names = () => page.locator('#job-list .open-details > span:nth-child(3)').allInnerTexts();
  await page.getByRole('combobox', { name: 'State' }).selectOption('held');
  await page.getByRole('textbox', { name: 'Node' }).first().fill('db-2');
  await page.keyboard.press('Enter');
  await until('one job to be left', async () => (await names()).length === 1);
  await terminate(2);
  await until('the termination of web-2', async () => (await api.jobs('node=web-2'))[0]?.state === 'done');
  expect(await names()).toEqual(['db-2']);
  await page.getByRole('button', { name: 'Clear' }).first().click();
  await row('web-2', 'done').waitFor();
  await page.getByRole('button', { name: /^1 held$/ }).click();
  await until('only the held one to be left', async () => (await names()).join() === 'db-2');
  await page.getByRole('button', { name: 'Clear' }).first().click();
  await page.getByRole('textbox', { name: 'Instance' }).fill(instanceId(2));
  await page.keyboard.press('Enter');
  await until('one job to be left', async () => (await names()).length === 1);
  await page.getByRole('button', { name: 'Clear' }).first().click();
});

test('after a reload nobody is asked for the token again, and the queue is open to who has it', async () => {
  await page.reload();
  await row('web-2', 'done').waitFor();
  await page.getByRole('link', { name: 'Queue' }).click();
  await page.getByText('jobs', { exact: true }).first().waitFor();
  expect(faults).toEqual([]);
  const stranger = await open();
  await stranger.goto(`${service.url}/queues`);
  expect(new URL(stranger.url()).pathname).toBe('/');
  await stranger.context().close();
});

test('the token is kept as long as the page says: in the tab, for the queue until the browser is closed, and not after signing out', async () => {
  const other = await open();
  await signIn(other);
  const cookies = () => other.context().cookies(`${service.url}/queues`);
  const untilTheBrowserIsClosed = { path: '/queues', expires: -1, sameSite: 'Strict' };
  expect(await cookies()).toEqual([expect.objectContaining(untilTheBrowserIsClosed)]);
  expect(await other.context().cookies(service.url), 'no other path is sent it').toEqual([]);

  await other.context().clearCookies();
  await other.reload();
  await other.getByText('live', { exact: true }).waitFor();
  await other.getByRole('link', { name: 'Queue' }).click();
  await other.getByText('jobs', { exact: true }).first().waitFor();
  await other.goBack();

  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.getByLabel(/^Token/).waitFor();
  expect(await cookies()).toEqual([]);
  await other.goto(`${service.url}/queues`);
  expect(new URL(other.url()).pathname).toBe('/');
  await other.context().close();
});

test('the connection comes back by itself after the service was restarted', async () => {
  await page.goto(service.url);
  await page.getByText('live', { exact: true }).waitFor();
  const { port } = new URL(service.url);
  await service.close('restart');
  await page.getByText('connecting…').waitFor();
  service = await startTestService({ ...env, PORT: port });
  await page.getByText('live', { exact: true }).waitFor();
  await terminate(3);
  await row('web-3', 'done').waitFor();
  // While it was away the browser said so.
  faults.splice(0);
});

test('dark, and on a phone, it is as usable, and wider than the screen nowhere', async () => {
  for (const [name, options] of [
    ['page-dark', { colorScheme: 'dark' }],
    ['page-phone', { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }],
  ] satisfies [string, BrowserContextOptions][]) {
    const other = await open(options);
    await signIn(other);
    await other.screenshot({ path: shot(name), fullPage: true });
    expect(await seriousFaults(other), name).toEqual([]);
    const [wide, screen] = (await other.evaluate(
      '[document.documentElement.scrollWidth, innerWidth]',
    )) as number[];
    expect(wide, name).toBeLessThanOrEqual(screen ?? 0);
    await other.context().close();
  }
  expect(await seriousFaults(page)).toEqual([]);
});

test('the reference names every operation, and axe finds no serious fault in it', async () => {
  await page.goto(`${service.url}/docs`);
  await page.getByRole('heading', { name: 'POST /events' }).waitFor();
  expect(await seriousFaults(page)).toEqual([]);
});

test('no page complained, ran into its policy, or asked another host', () => {
  expect(faults).toEqual([]);
});

function shot(name: string): string {
  mkdirSync(SCREENSHOTS, { recursive: true });
  return join(SCREENSHOTS, `${name}.png`);
}
