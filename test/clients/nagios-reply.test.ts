import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanComment } from '../../src/clients/nagios-comment.ts';
import { pageWords, readCommandReply } from '../../src/clients/nagios-reply.ts';
import { readDowntimeList } from '../../src/clients/nagios-status.ts';

describe('a comment for Nagios', () => {
  test('keeps its letters and loses what Nagios cannot keep', () => {
    expect(cleanComment(' job 1;2\n<b>Zoë Groß & "co"</b> 日 ')).toBe('job 1 2 bZoe Gro? & "co"/b ?');
  });

  test('is one line of printable ASCII whatever is given, and stays as it is when cleaned again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 700 }), text => {
        const clean = cleanComment(text);
        expect(clean).toMatch(/^[ -:=?-~]{0,500}$/);
        expect(cleanComment(clean)).toBe(clean);
      }),
    );
  });
});

describe('what a page of Nagios says', () => {
  test('is plain text on one line of at most 200 characters, whatever the page', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), text => {
        const words = pageWords(`<html><body>${text}</body></html>`);
        expect(words.length).toBeLessThanOrEqual(200);
        expect(words).not.toMatch(/[\r\n]/);
      }),
    );
  });

  test('is its error message where it has one, with entities read', () => {
    const page = `<p>hello</p><DIV CLASS='errorMessage'>Host &lt;a&gt; &amp; more<BR></DIV>`;
    expect(readCommandReply(page)).toEqual({ kind: 'refused', words: 'Host <a> & more' });
  });

  test('is never taken for success without the words of success', () => {
    expect(readCommandReply('<html>Welcome, please log in</html>').kind).toBe('refused');
    expect(readCommandReply('').kind).toBe('refused');
  });
});

test('a downtime list keeps what it understands and leaves out the rest', () => {
  const json = {
    result: { type_code: 0, last_data_update: 1_000, query_time: 2_000 },
    data: {
      downtimelist: {
        7: { type: 2, host_name: 'a', start_time: 5, end_time: 6, comment: 'c' },
        8: null,
        9: { type: 3, host_name: 'b' },
      },
    },
  };
  expect(readDowntimeList(json)).toEqual({
    lastUpdate: new Date(1_000),
    queryTime: new Date(2_000),
    downtimes: [{ id: 7, type: 'host', host: 'a', start: new Date(5), end: new Date(6), comment: 'c' }],
  });
  expect(() => readDowntimeList({})).toThrow('did not answer the query downtimelist');
});
