import { describe, expect, test } from 'vitest';
import { ShutdownStack } from '../../../src/app/shutdown.ts';

function opened() {
  const faults: string[] = [];
  const closed: string[] = [];
  const closing = new ShutdownStack(message => faults.push(message));
  const add = (name: string, close: () => unknown = () => {}, limitMs?: number) => {
    const noted = () => {
      closed.push(name);
      return close();
    };
    return closing.add(name, name, noted, limitMs);
  };
  return { closing, add, faults, closed };
}

describe('what was opened', () => {
  test('is closed in reverse order, each after the one before is closed', async () => {
    const { closing, add, closed } = opened();
    let released = () => {};
    const held = new Promise<void>(resolve => (released = resolve));
    add('first');
    add('second', () => held);
    const done = closing.close();
    await Promise.resolve();
    expect(closed).toEqual(['second']);
    released();
    await done;
    expect(closed).toEqual(['second', 'first']);
  });

  test('is closed even where another fails or throws', async () => {
    const { closing, add, faults, closed } = opened();
    add('a');
    add('b', () => Promise.reject(new Error('broken')));
    add('c', () => {
      throw new Error('worse');
    });
    await closing.close();
    expect(closed).toEqual(['c', 'b', 'a']);
    expect(faults).toEqual(['c did not close: worse', 'b did not close: broken']);
  });

  test('is left behind when it hangs', async () => {
    const { closing, add, faults, closed } = opened();
    add('a');
    add('b', () => new Promise(() => {}), 20);
    await closing.close();
    expect(closed).toEqual(['b', 'a']);
    expect(faults).toEqual(['b did not close within 20 ms']);
  });

  test('is closed once, however often it is asked', async () => {
    const { closing, add, closed } = opened();
    add('a');
    await Promise.all([closing.close(), closing.close()]);
    expect(closed).toEqual(['a']);
  });
});

test('what is added is given back', () => {
  const thing = { open: true };
  expect(new ShutdownStack(() => {}).add('thing', thing, () => {})).toBe(thing);
});
