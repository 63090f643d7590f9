import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { AppError } from '../../domain/errors.ts';
import { isObject, type JsonObject } from '../../domain/json.ts';

export interface ChefCredentials {
  url: string;
  clientName: string;
  /** Private key, PEM. */
  key: string;
}

/**
 * A profile of knife's credentials file, usually `~/.chef/credentials`; `client_key` is a path (from the file's folder,
 * where it is relative) or the key itself.
 * Source: https://docs.chef.io/workstation/knife_setup/ and chef-config's workstation_config_loader.rb
 * @throws AppError `invalid`, naming the file, the profile and the field; nothing of the file's content is in it
 */
export function readCredentials(profile: string, file: string): ChefCredentials {
  const path = resolve(untilde(file));
  const fields = findProfile(parseToml(read(path, 'the Chef credentials'), path), profile, path);
  const field = (name: string) => {
    const value = fields[name];
    if (typeof value === 'string' && value.trim()) return value.trim();
    const fault = value === undefined ? 'lacks' : 'has an unusable';
    throw new AppError('invalid', `profile ${profile} of ${path} ${fault} ${name}`, { field: name });
  };
  // knife refuses both as well: they are two names of one setting.
  if (fields['client_name'] !== undefined && fields['node_name'] !== undefined) {
    throw new AppError(
      'invalid',
      `profile ${profile} of ${path} has client_name and node_name: keep client_name`,
    );
  }
  const clientName = field(fields['node_name'] === undefined ? 'client_name' : 'node_name');
  const url = field('chef_server_url');
  const key = field('client_key');
  if (key.startsWith('-----BEGIN ')) return { url, clientName, key };
  const keyPath = resolve(dirname(path), untilde(key));
  return { url, clientName, key: read(keyPath, `client_key of profile ${profile} of ${path}`) };
}

function findProfile(credentials: JsonObject, profile: string, path: string): JsonObject {
  const found = credentials[profile];
  if (isObject(found)) return found;
  const profiles = Object.keys(credentials).filter(name => isObject(credentials[name]));
  const others = profiles.length ? `it has ${profiles.join(', ')}` : 'it has none';
  throw new AppError('invalid', `${path} has no profile ${profile}: ${others}`);
}

function parseToml(text: string, path: string): JsonObject {
  try {
    return parse(text);
  } catch (error) {
    // The parser's own message quotes the lines around the fault, and with them the key.
    const where = error instanceof TomlError ? ` at line ${error.line}, column ${error.column}` : '';
    throw new AppError('invalid', `${path} is not TOML${where}`);
  }
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : 'unreadable';
    throw new AppError('invalid', `cannot read ${what} at ${path} (${code})`);
  }
}

function untilde(path: string): string {
  return path.replace(/^~(?=\/|$)/, homedir());
}
