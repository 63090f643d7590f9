/**
 * An element. Text is always text, never HTML.
 * @param {string} name
 * @param {Record<string, unknown>} attributes `class`, `onclick`, and whatever else; undefined and false are left out
 * @param {...(Node | string | undefined | false)} children
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== undefined && value !== false) element.setAttribute(key, String(value));
  }
  element.append(...children.filter(child => child !== undefined && child !== false));
  return element;
}

export const byId = id => document.getElementById(id);

/** Replaces what is in an element, and keeps the focus where it was: on the child with the same `data-key`. */
export function refill(element, ...children) {
  const key = element.contains(document.activeElement) && document.activeElement?.dataset.key;
  element.replaceChildren(...children);
  if (key) element.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** A time as people of this browser write it; without its date where it is of today. */
export function time(iso) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return el('time', { datetime: iso }, (today ? CLOCK : DATE).format(at));
}

/** How long it was from one time to another: `30 ms`, `1.2 s`, `12 min`. */
export function tookFrom(from, to) {
  const seconds = Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}

let forgetting;

/** Says what happened, on the page and to screen readers. */
export function say(text) {
  byId('message').textContent = text;
  clearTimeout(forgetting);
  forgetting = setTimeout(() => byId('message').replaceChildren(), 8_000);
}

/** Asks before something is done. @returns {Promise<boolean>} */
export function confirm(title, text, yes) {
  const dialog = byId('confirm');
  byId('confirm-title').textContent = title;
  byId('confirm-text').textContent = text;
  byId('confirm-yes').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise(resolve => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
