import { call } from './api.js';
import { confirm, el, say, time } from './dom.js';

const contents = new Map();

/** The row of one archive; opened, what a restore would bring back. */
export function archiveRow(archive, { isOpen, toggle, show }) {
  const { id, node, savedAt } = archive;
  const name = `archive-${id}`;
  if (isOpen && !contents.has(id)) void look(archive, show);
  const summary = el(
    'button',
    {
      type: 'button',
      class: 'open-details archive',
      'aria-expanded': String(isOpen),
      'aria-controls': name,
      'data-key': 'open',
      onclick: toggle,
    },
    el('span', {}, node, archive.instanceId ? el('small', {}, ` ${archive.instanceId}`) : ''),
    el('span', { class: 'when' }, time(savedAt)),
  );
  const restore = el(
    'button',
    {
      type: 'button',
      'data-key': 'restore',
      'aria-label': `Restore ${node}`,
      onclick: () => bringBack(archive),
    },
    'Restore',
  );
  const inside = isOpen
    ? contents.has(id)
      ? details(archive, contents.get(id))
      : [el('p', {}, 'Reading…')]
    : [];
  return [
    el('div', { class: 'row' }, summary, el('span', { class: 'actions' }, restore)),
    el('div', { id: name, class: 'details', hidden: !isOpen }, ...inside),
  ];
}

async function look(archive, show) {
  try {
    contents.set(archive.id, await call('GET', `/archives/${encodeURIComponent(archive.id)}`));
    show(archive);
  } catch (error) {
    say(error.message);
  }
}

function details(archive, { chef }) {
  const { node, client, clientKeys } = chef;
  const facts = [
    ['Archive', el('code', {}, archive.id)],
    ['Saved by', el('code', {}, archive.job)],
    ['Asked by', archive.requestedBy],
    ['Node', node ? 'as it was, with all attributes' : 'none was there'],
    ['Environment', node?.chef_environment],
    ['Run list', node?.run_list?.join(', ')],
    ['Client', client ? 'with its public key: the host’s old private key works again' : 'none was there'],
    ['Keys', clientKeys?.length > 0 && String(clientKeys.length)],
  ].filter(([, value]) => value);
  return [el('dl', {}, ...facts.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]))];
}

async function bringBack({ id, node }) {
  const sure = await confirm(
    `Restore ${node}?`,
    `Node and client become what archive ${id} has, and the downtime is cancelled.`,
    'Restore',
  );
  if (!sure) return;
  try {
    await call('POST', '/events', { kind: 'ensure', node, archive: id, reason: 'restored on the page' });
    say(`Restore of ${node} asked for`);
  } catch (error) {
    say(error.message);
  }
}
