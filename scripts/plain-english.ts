/**
 * Finds words and phrases in comments, texts and documents that readers stumble over, and says what to write instead.
 * Names in the code are not looked at. Exits 1 if there is any.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const INSTEAD: [found: RegExp, instead: string][] = [
  [/\bnews\b/i, 'event, message'],
  [/\bdeaths?\b|\bdying\b/i, 'termination, the instance ends'],
  [/\bhallway\b/i, 'name the function'],
  [/\bghosts?\b/i, 'orphaned node'],
  [/\bzombies?\b(?! process)/i, 'a node that came back'],
  [/\bmend(s|ed|ing)?\b/i, 'repair, correct, remove the cause'],
  [/\bbeliev(e|es|ed|ing)\b/i, 'trust, accept, verify'],
  [/\bdoubtful\b|\bin doubt\b/i, 'uncertain'],
  [/\bin hand\b/i, 'in flight'],
  [/\banew\b/i, 'again'],
  [/\bfor ever\b/i, 'forever'],
  [/\bat the most\b/i, 'at most'],
  [/\bunless told\b/i, 'by default, @default'],
  [/\bby now\b/i, 'already'],
  [/\bis told (of|apart|to)\b/i, 'is announced, distinguished, shown'],
  [/\bwaits since\b/i, 'has been waiting for'],
];

const TEXT = /\.(md|ya?ml|html|8|conf|env)$/;
const CODE = /\.(ts|js|lua|sh)$|^(host|packaging)\/chef-/;
/** Comments, and quoted texts of more than one word. */
const PROSE =
  /(?:^\s*(?:\/\*\*?|\*|\/\/|--|#)| \/\/ ).*$|'(?:[^'\\]|\\.)* (?:[^'\\]|\\.)*'|`[^`]* [^`]*`?|"(?:[^"\\]|\\.)* (?:[^"\\]|\\.)*"/g;

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { encoding: 'utf8' })
  .split('\n')
  .filter(file => (TEXT.test(file) || CODE.test(file)) && !file.startsWith('test/fixtures/'))
  .filter(file => file !== 'scripts/plain-english.ts');

let count = 0;
for (const file of files) {
  readFileSync(file, 'utf8')
    .split('\n')
    .forEach((line, at) => {
      const prose = TEXT.test(file) ? line.replaceAll(/`[^`]*`/g, '') : (line.match(PROSE) ?? []).join(' ');
      for (const [found, instead] of INSTEAD) {
        const [phrase] = found.exec(prose) ?? [];
        if (phrase === undefined) continue;
        console.error(`${file}:${at + 1}: "${phrase}": ${instead}`);
        count += 1;
      }
    });
}
if (count > 0) {
  console.error(`${count} to write in plain English`);
  process.exitCode = 1;
}
