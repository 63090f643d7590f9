import { send } from './api.js';
import { confirm, el, say, time, tookFrom } from './dom.js';

/** What a person may do to a job in that state. */
const ACTIONS = {
  held: [
    { name: 'approve', label: 'Approve', strong: true },
    { name: 'discard', label: 'Discard' },
  ],
  failed: [{ name: 'retry', label: 'Retry', strong: true }],
};

/** The row of one job: what it is, what may be done, and once opened its steps. */
export function jobRow(job, { isOpen, toggle, show }) {
  const about = job.node ?? job.instanceId ?? 'unknown node';
  const id = `job-${job.id}`;
  const summary = el(
    'button',
    {
      type: 'button',
      class: 'open-details',
      'aria-expanded': String(isOpen),
      'aria-controls': id,
      'data-key': 'open',
      onclick: toggle,
    },
    el('span', { class: `badge ${job.state}` }, job.state),
    el('span', {}, job.kind),
    el('span', {}, about, job.node && job.instanceId ? el('small', {}, ` ${job.instanceId}`) : ''),
    el('span', { class: 'when' }, time(job.receivedAt)),
  );
  const buttons = (ACTIONS[job.state] ?? []).map(({ name, label, strong }) =>
    el(
      'button',
      {
        type: 'button',
        class: strong && 'strong',
        'data-key': name,
        'aria-label': `${label} ${job.kind} of ${about}`,
        onclick: () => decide(job, name, label, about, show),
      },
      label,
    ),
  );
  const row = el(
    'div',
    { class: 'row' },
    summary,
    buttons.length > 0 && el('span', { class: 'actions' }, ...buttons),
    job.error && el('p', { class: 'why' }, job.error.message),
  );
  return [row, el('div', { id, class: 'details', hidden: !isOpen }, ...(isOpen ? details(job) : []))];
}

async function decide({ id, kind }, name, label, about, show) {
  const path = `/jobs/${encodeURIComponent(id)}`;
  try {
    // As it is now, and only if it still is so when the decision arrives.
    const { answer: job, tag } = await send('GET', path);
    if (name !== 'retry' && !(await confirm(`${label} the ${kind} of ${about}?`, shown(job), label))) return;
    const { answer } = await send('POST', `${path}/${name}`, { ifMatch: tag });
    show(answer);
    say(`${label}: ${kind} of ${about}`);
  } catch (error) {
    say(error.message);
  }
}

/** What a person decides about. */
function shown({ error, reasons = [], machine }) {
  const others = reasons.slice(1).map(({ message }) => message);
  const { instanceId, ohaiTime } = machine ?? {};
  return [
    error && `It was held: ${error.message}.`,
    others.length > 0 && `Also: ${others.join('; ')}.`,
    instanceId && `The node is instance ${instanceId} now.`,
    ohaiTime && `chef-client last ran there at ${ohaiTime}.`,
  ]
    .filter(Boolean)
    .join(' ');
}

function details(job) {
  const told = job.requestedBy ? `${job.source}, ${job.requestedBy}` : job.source;
  const facts = [
    ['Job', el('code', {}, job.id)],
    ['Requested by', told],
    ['Reason', job.event.reason],
    ['Approved by', job.approvedBy],
    ['Attempts', String(job.attempts)],
    ['Finished', job.finishedAt && time(job.finishedAt)],
  ].filter(([, value]) => value);
  const steps = job.steps.map(({ name, state, at, note }, index) =>
    el(
      'li',
      { class: state === 'skipped' ? '' : state },
      el('b', {}, name),
      ` ${state} `,
      el('small', {}, time(at), ` +${tookFrom(job.steps[index - 1]?.at ?? job.receivedAt, at)}`),
      note && el('span', { class: 'note' }, note),
    ),
  );
  return [
    el('dl', {}, ...facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)])),
    steps.length > 0
      ? el('ol', { class: 'timeline', 'aria-label': 'Steps' }, ...steps)
      : el('p', {}, 'No step yet.'),
  ];
}
