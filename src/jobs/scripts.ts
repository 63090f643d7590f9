import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';

const NAMES = [
  'accept',
  'begin',
  'move',
  'claim',
  'note',
  'list',
  'revive',
  'change-chef',
  'last-said',
  'spend',
  'refund',
  'stamp',
  'schedule',
  'take-due',
  'begin-run',
  'end-run',
  'forget',
] as const;
export type ScriptName = (typeof NAMES)[number];
type Argument = string | number;

/** A change in Redis that happens as a whole or not at all; see lua/common.lua for the keys. */
export type RunScript = (name: ScriptName, ...args: Argument[]) => Promise<unknown>;

const read = (name: string) => readFileSync(new URL(`lua/${name}.lua`, import.meta.url), 'utf8');

/** The whole text of a script, as Redis runs it. */
export function scriptText(name: ScriptName): string {
  return `${read('common')}\n${read(name)}`;
}

/** Makes the scripts of lua/ callable on a connection, for the keys under `prefix`. */
export function loadScripts(redis: Redis, prefix: string): RunScript {
  type Command = (key: string, ...args: Argument[]) => Promise<unknown>;
  const commands = redis as unknown as Record<string, Command>;
  for (const name of NAMES) redis.defineCommand(name, { numberOfKeys: 1, lua: scriptText(name) });
  return (name, ...args) =>
    commands[name]?.(prefix, ...args) ?? Promise.reject(new Error(`no script ${name}`));
}
