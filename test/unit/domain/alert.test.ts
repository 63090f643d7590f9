import { describe, expect, test } from 'vitest';
import { ALERTS, type AlertName, alert, headline, inWords } from '../../../src/domain/alert.ts';

const NAMES = Object.keys(ALERTS) as AlertName[];

describe('an alert', () => {
  test.each(NAMES)('%s says what happened and what to do', name => {
    const text = inWords(alert(name, 'this and that'));
    expect(text).toMatch(/^(error|warning) [a-z-]+\nWhat happened: this and that\nWhat to do: .{20,}$/);
  });

  test('of a job has the path to its decision in it, ready to be sent', () => {
    const held = alert('job-held', 'why', { node: 'web-1', instanceId: null, job: 'j1' });
    expect(held).toMatchObject({ node: 'web-1', job: 'j1', severity: 'warning' });
    expect(held).not.toHaveProperty('instanceId');
    expect(inWords(held)).toContain('POST /jobs/j1/approve');
    expect(inWords(held)).toContain('Node: web-1\nJob: j1');
  });

  test('is headed by its node, or by its instance where the node is not known', () => {
    expect(headline(alert('job-failed', 'why', { node: 'web-1' }))).toBe('error job-failed: node web-1');
    expect(headline(alert('job-failed', 'why', { instanceId: 'i-1' }))).toBe(
      'error job-failed: instance i-1',
    );
    expect(headline(alert('redis-away', 'why'))).toBe('error redis-away');
  });
});
