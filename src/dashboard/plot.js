import { el } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const NARROWEST = 300;
const HEIGHT = 190;
const LEFT = 34;
const BOTTOM = 22;
const TOP = 8;
/** From the bottom of a bar to its top. */
const OUTCOMES = ['done', 'open', 'held', 'failed', 'discarded'];

/** @param {{from: string, jobs: {kind: string, state: string, count: number}[]}[]} hours */
export function plotTerminations(figure, hours) {
  // One unit is one pixel, so that text is as large on a phone.
  const width = Math.max(NARROWEST, figure.clientWidth);
  const bars = hours.map(({ from, jobs }) => ({ from, counts: countsOf(jobs) }));
  const highest = Math.max(...bars.map(bar => sum(bar.counts)));
  const step = niceStep(Math.max(1, highest) / 4);
  const top = step * Math.max(4, Math.ceil(highest / step));
  const height = HEIGHT - BOTTOM - TOP;
  const y = count => TOP + height * (1 - count / top);
  const wide = (width - LEFT) / bars.length;

  const drawing = svg('svg', {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: 'img',
    'aria-label': `${sum(totals(bars))} terminations; the table shows the same`,
  });
  for (let count = 0; count <= top; count += step) {
    drawing.append(svg('line', { class: 'grid', x1: LEFT, x2: width, y1: y(count), y2: y(count) }));
    drawing.append(svg('text', { x: LEFT - 6, y: y(count) + 4, 'text-anchor': 'end' }, String(count)));
  }
  bars.forEach(({ from, counts }, at) => {
    let below = 0;
    for (const outcome of OUTCOMES) {
      const count = counts[outcome];
      if (count === 0) continue;
      const shape = {
        class: outcome,
        x: LEFT + at * wide + 2,
        width: wide - 4,
        y: y(below + count),
        height: y(below) - y(below + count),
      };
      drawing.append(svg('rect', shape, svg('title', {}, `${hourOf(from)}: ${count} ${outcome}`)));
      below += count;
    }
    if (at % 4 === 0)
      drawing.append(
        svg('text', { x: LEFT + (at + 0.5) * wide, y: HEIGHT - 6, 'text-anchor': 'middle' }, hourOf(from)),
      );
  });
  const keys = OUTCOMES.map(outcome =>
    el('span', { class: `key ${outcome}` }, `${totals(bars)[outcome]} ${outcome}`),
  );
  figure.replaceChildren(drawing, el('figcaption', {}, ...keys), tableOf(bars));
}

function countsOf(jobs) {
  const counts = { done: 0, open: 0, held: 0, failed: 0, discarded: 0 };
  for (const { kind, state, count } of jobs) {
    if (kind === 'delete') counts[state in counts ? state : 'open'] += count;
  }
  return counts;
}

const sum = counts => OUTCOMES.reduce((all, outcome) => all + counts[outcome], 0);

function totals(bars) {
  return Object.fromEntries(
    OUTCOMES.map(outcome => [outcome, bars.reduce((all, { counts }) => all + counts[outcome], 0)]),
  );
}

/** 1, 2 or 5 times a power of ten. */
function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  return power * ([1, 2, 5].find(factor => factor * power >= rough) ?? 10);
}

function hourOf(iso) {
  return new Date(iso).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

/** For those who do not see the plot. */
function tableOf(bars) {
  const rows = bars
    .filter(({ counts }) => sum(counts) > 0)
    .map(({ from, counts }) =>
      el(
        'tr',
        {},
        el('th', { scope: 'row' }, hourOf(from)),
        ...OUTCOMES.map(outcome => el('td', {}, String(counts[outcome]))),
      ),
    );
  const head = el('tr', {}, ...['hour', ...OUTCOMES].map(name => el('th', { scope: 'col' }, name)));
  return el(
    'div',
    { class: 'hidden' },
    el(
      'table',
      {},
      el('caption', {}, 'Terminations per hour'),
      el('thead', {}, head),
      el('tbody', {}, ...rows),
    ),
  );
}

function svg(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}
