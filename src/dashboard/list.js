import { call, query } from './api.js';
import { byId, refill, say } from './dom.js';

const PAGE = 25;

/**
 * A list that is filtered, read page by page, and whose rows open.
 * @param {{what: 'jobs' | 'archives', form: string, list: string, more: string, none: string, row: Function}} parts
 */
export function pagedList({ what, form, list, more, none, row }) {
  const rows = new Map();
  const opened = new Set();
  let filter = {};
  let next = null;
  let reading = 0;

  function show(item) {
    const known = rows.get(item.id);
    const place = known?.place ?? document.createElement('li');
    rows.set(item.id, { item, place });
    place.dataset.id = item.id;
    const toggle = () => {
      if (!opened.delete(item.id)) opened.add(item.id);
      show(rows.get(item.id).item);
    };
    refill(place, ...row(item, { isOpen: opened.has(item.id), toggle, show }));
    return place;
  }

  function fits(item) {
    return Object.entries(filter).every(([name, value]) => !value || item[name] === value);
  }

  function tidy() {
    byId(more).hidden = next === null;
    byId(none).hidden = rows.size > 0;
  }

  async function read(cursor) {
    const turn = ++reading;
    try {
      const page = await call('GET', `/${what}?${query({ ...filter, limit: PAGE, cursor })}`);
      if (turn !== reading) return;
      next = page.next;
      if (!cursor) {
        const kept = new Set(page[what].map(item => item.id));
        for (const [id, { place }] of rows) if (!kept.has(id)) place.remove();
        for (const id of rows.keys()) if (!kept.has(id)) rows.delete(id);
      }
      for (const item of page[what]) byId(list).append(show(item));
      tidy();
    } catch (error) {
      say(error.message);
    }
  }

  byId(form).addEventListener('submit', event => {
    event.preventDefault();
    filter = Object.fromEntries(new FormData(byId(form)));
    void read();
  });
  byId(form).addEventListener('reset', () => {
    filter = {};
    void read();
  });
  byId(more).addEventListener('click', () => void read(next));

  return {
    read: () => read(),
    /** Something new, or something that changed. */
    update(item) {
      const known = rows.get(item.id);
      if (!fits(item)) {
        known?.place.remove();
        rows.delete(item.id);
      } else if (known) show(item);
      else byId(list).prepend(show(item));
      tidy();
    },
    /** Only what this filter lets through. */
    filterBy(values) {
      byId(form).reset();
      for (const [name, value] of Object.entries(values)) byId(form).elements[name].value = value;
      filter = values;
      return read();
    },
  };
}
