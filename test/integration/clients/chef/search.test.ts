import { describe, expect, test } from 'vitest';
import { useChefStandIn } from '../../../support/clients/chef-fixture.ts';

const fixture = useChefStandIn();
const { willAnswer } = fixture;
const names = () => fixture.chef.findNodeNames('ec2.instance_id', 'i-00000001');

function page(start: number) {
  return {
    method: 'POST',
    path: `/search/node?q=ec2_instance_id%3Ai-00000001&start=${start}&rows=1000`,
    body: { name: ['name'] },
  };
}

function rows(from: number, count: number): object[] {
  return Array.from({ length: count }, (_, n) => ({
    url: 'https://elsewhere',
    data: { name: `web-${from + n}` },
  }));
}

describe('the nodes of an instance', () => {
  test('are read page by page until a page is not full', async () => {
    willAnswer(
      { ...page(0), answer: { total: 2001, start: 0, rows: rows(0, 1000) } },
      { ...page(1000), answer: { total: 2001, start: 1000, rows: rows(1000, 1000) } },
      { ...page(2000), answer: { total: 2001, start: 2000, rows: rows(2000, 1) } },
    );
    const found = await names();
    expect(found).toHaveLength(2001);
    expect(found.at(-1)).toBe('web-2000');
  });

  test('are read on if the server counts only those of the page', async () => {
    willAnswer(
      { ...page(0), answer: { total: 1000, start: 0, rows: rows(0, 1000) } },
      { ...page(1000), answer: { total: 2, start: 1000, rows: rows(1000, 2) } },
    );
    expect(await names()).toHaveLength(1002);
  });

  test('are none if the server counts none', async () => {
    willAnswer({ ...page(0), answer: { total: 0, start: 0, rows: [] } });
    expect(await names()).toEqual([]);
  });

  test('are asked for again after a failure', async () => {
    willAnswer({ ...page(0), status: 502 }, { ...page(0), answer: { total: 1, rows: rows(1, 1) } });
    expect(await names()).toEqual(['web-1']);
  });
});

describe('a search that shows fewer nodes than it counts is not accepted', () => {
  test.each([
    ['none of one', 1, []],
    ['none of many', 5000, []],
    ['all but one', 3, rows(0, 2)],
    ['one of them twice', 2, [...rows(0, 1), ...rows(0, 1)]],
  ])('%s', async (_, total, shown) => {
    willAnswer({ ...page(0), answer: { total, start: 0, rows: shown } });
    await expect(names()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/showed \d of the \d+ nodes .* ec2_instance_id:i-00000001; .*reindex/),
    });
  });

  test('a full page and then nothing', async () => {
    willAnswer(
      { ...page(0), answer: { total: 1500, start: 0, rows: rows(0, 1000) } },
      { ...page(1000), answer: { total: 1500, start: 1000, rows: [] } },
    );
    await expect(names()).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('a second page that fails', async () => {
    willAnswer({ ...page(0), answer: { total: 10_500, start: 0, rows: rows(0, 1000) } });
    willAnswer(...Array.from({ length: 3 }, () => ({ ...page(1000), status: 500 })));
    await expect(names()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('an odd answer to a search is a fault, not an absence', () => {
  const answers: [string, unknown][] = [
    ['without rows and a total', {}],
    ['without a total', { rows: [] }],
    ['with rows that are not a list', { rows: {}, total: 1 }],
    ['with a total that is not a number', { rows: [], total: '0' }],
    ['with a row that is not an object', { rows: [7], total: 1 }],
    ['with a row that has no data', { rows: [{ url: 'https://elsewhere' }], total: 1 }],
    ['with a row whose data is null', { rows: [{ data: null }], total: 1 }],
    ['with a row that has no name', { rows: [{ data: {} }], total: 1 }],
    ['with a row whose name is null', { rows: [{ data: { name: null } }], total: 1 }],
    ['with a name that is more than one segment of a path', { rows: [{ data: { name: '../x' } }], total: 1 }],
    ['that is a list', []],
    ['that is empty', ''],
    ['that is HTML', '<html>'],
  ];

  test.each(answers)('%s', async (_, answer) => {
    willAnswer({ ...page(0), answer });
    await expect(names()).rejects.toMatchObject({ code: 'rejected' });
  });
});
