import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cleanComment } from '../../../../src/clients/nagios/comment.ts';
import {
  isCommandForm,
  pageWords,
  readCommandReply,
  readHostPage,
} from '../../../../src/clients/nagios/reply.ts';
import { readDowntimeList } from '../../../../src/clients/nagios/status.ts';

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

  test('is a refusal of the host or the user if Icinga 1 says so in its table', () => {
    const page = `<div class='errorMessage'>An error occurred while attempting to commit your command for processing.</div>
<tr class='statusOdd '><td>nobody</td><td>N/A</td><td><div class='commitFailed'>Not Authorized</div></td><tr>`;
    expect(readCommandReply(page).kind).toBe('not-authorized');
    expect(readCommandReply(page.replace('Not Authorized', 'FAILED')).kind).toBe('refused');
  });

  test('is never taken for success without the words of success', () => {
    expect(readCommandReply('<html>Welcome, please log in</html>').kind).toBe('refused');
    expect(readCommandReply('').kind).toBe('refused');
  });
});

describe('a page of extinfo.cgi', () => {
  const page = (name: string, address: string) => `<SCRIPT LANGUAGE="JavaScript">
<!--
function nagios_get_host_name()
{
return "${name}";
}
function nagios_get_host_address()
{
return "${address}";
}
//-->
</SCRIPT>`;

  test('shows a host and its address', () => {
    expect(readHostPage(page('Web Server 1', '10.0.0.9'))).toEqual({
      name: 'Web Server 1',
      address: '10.0.0.9',
    });
    expect(readHostPage(page('web-1', ''))).toEqual({ name: 'web-1', address: '' });
  });

  test('shows none if it has no host', () => {
    expect(readHostPage('<html><!-- Produced by Nagios --></html>')).toBeUndefined();
    fc.assert(fc.property(fc.string(), text => void expect(readHostPage(text)).toBeUndefined()));
  });
});

test('a form of cmd.cgi is told from other pages', () => {
  for (const form of [
    `<INPUT TYPE='HIDDEN' NAME='cmd_typ' VALUE='55'><INPUT TYPE='HIDDEN' NAME='cmd_mod' VALUE='2'>`,
    `<input type='hidden' name='cmd_typ' value='55'>`,
  ]) {
    expect(isCommandForm(form)).toBe(true);
  }
  for (const page of ['', '<h1>Please log in</h1>', '<p>cmd_typ</p>', `<input name='user'>`]) {
    expect(isCommandForm(page)).toBe(false);
  }
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
