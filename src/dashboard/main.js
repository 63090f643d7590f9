import { call, health, listen, token } from './api.js';
import { archiveRow } from './archives.js';
import { byId, el, refill, say, time, tookFrom } from './dom.js';
import { jobRow } from './jobs.js';
import { pagedList } from './list.js';
import { plotTerminations } from './plot.js';

const HEALTH_MS = 10_000;
/** However many jobs change, the summary is read no more often than this. */
const SUMMARY_MS = 1_000;

const jobs = pagedList({
  what: 'jobs',
  form: 'filter',
  list: 'job-list',
  more: 'more-jobs',
  none: 'no-jobs',
  row: jobRow,
});
const archives = pagedList({
  what: 'archives',
  form: 'archive-filter',
  list: 'archive-list',
  more: 'more-archives',
  none: 'no-archives',
  row: archiveRow,
});

async function showSummary() {
  const { version, jobs: counts, hours } = await call('GET', '/summary');
  byId('version').textContent = version;
  const states = ['queued', 'running', 'retrying', 'held', 'failed', 'done', 'discarded'];
  const of = state => counts.filter(each => each.state === state).reduce((sum, { count }) => sum + count, 0);
  refill(byId('totals'), ...states.map(state => el('li', {}, total(state, of(state)))));
  plotTerminations(byId('plot'), hours);
  window.onresize = () => plotTerminations(byId('plot'), hours);
}

/** How many jobs are in that state; pressed, the list shows only those. */
function total(state, count) {
  const show = () => {
    void jobs.filterBy({ state });
    byId('jobs').scrollIntoView();
  };
  const attributes = { type: 'button', class: `total ${state}`, 'data-key': state, onclick: show };
  return el('button', attributes, el('b', {}, String(count)), el('span', { class: 'key' }, state));
}

async function showTrigger() {
  const { state, pendingDeletes, lastRun } = await call('GET', '/trigger');
  const waits = pendingDeletes > 0 ? `, ${pendingDeletes} changes wait for it` : '';
  const run = lastRun
    ? [
        el(
          'p',
          {},
          'Last run ',
          time(lastRun.startedAt),
          `, took ${tookFrom(lastRun.startedAt, lastRun.finishedAt)}, `,
          el(
            'span',
            { class: lastRun.exitCode === 0 ? 'ok' : 'bad' },
            `exit code ${lastRun.exitCode ?? 'none'}`,
          ),
        ),
        el(
          'details',
          {},
          el('summary', { 'data-key': 'output' }, 'Its output'),
          el('pre', { tabindex: 0 }, lastRun.output),
        ),
      ]
    : [el('p', {}, 'It has not run yet.')];
  const open = byId('trigger').querySelector('details')?.open;
  refill(byId('trigger'), el('p', {}, el('b', {}, state), waits), ...run);
  if (open) byId('trigger').querySelector('details')?.setAttribute('open', '');
}

async function showHealth() {
  const states = await health().catch(() => ({ service: 'unreachable' }));
  const rows = Object.entries(states).map(([part, state]) =>
    el('li', {}, el('b', {}, part), el('span', { class: state === 'ok' ? 'ok' : 'bad' }, state)),
  );
  refill(byId('health'), ...rows);
}

let due = false;

/** What follows from jobs that change: now, and again after a while where more changed meanwhile. */
function refreshSoon() {
  if (due) return;
  due = true;
  setTimeout(() => {
    due = false;
    showSummary().catch(tell);
    showTrigger().catch(tell);
  }, SUMMARY_MS);
}

function tell(error) {
  if (error.status === 401) signOut();
  else say(error.message);
}

function onEvent(event, data) {
  if (event === 'unauthenticated') return signOut();
  if (event === 'job') {
    jobs.update(data);
    if (data.kind === 'delete' && data.state === 'done') void archives.read();
  }
  if (event === 'reset') for (const list of [jobs, archives]) void list.read();
  refreshSoon();
}

function onState(live) {
  byId('connection').className = live ? 'live' : '';
  byId('connection').textContent = live ? 'live' : 'connecting…';
}

async function begin() {
  for (const id of ['board', 'sign-out', 'queues']) byId(id).hidden = false;
  byId('sign-in').hidden = true;
  void showHealth();
  setInterval(showHealth, HEALTH_MS);
  await Promise.all([showSummary(), showTrigger()]).catch(tell);
  void listen(onEvent, onState);
}

function signOut() {
  token.forget();
  location.reload();
}

byId('sign-out').addEventListener('click', signOut);
byId('token-form').addEventListener('submit', async event => {
  event.preventDefault();
  token.set(byId('token').value.trim());
  try {
    await call('GET', '/trigger');
    byId('token').value = '';
    await begin();
    byId('jobs').focus({ preventScroll: true });
  } catch (error) {
    token.forget();
    byId('token-error').textContent = error.message;
    byId('token').select();
  }
});

if (token.get()) {
  // The cookie may be older than this tab, or gone.
  token.lend();
  void begin();
} else {
  byId('sign-in').hidden = false;
  byId('token').focus();
}
