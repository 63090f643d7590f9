import { isObject, type JsonObject } from './json.ts';

/** A node as the Chef server stores it. Source: https://docs.chef.io/api_chef_server/#nodesname */
export interface ChefNode extends JsonObject {
  name: string;
  chef_environment?: string;
  run_list?: string[];
  automatic?: JsonObject;
  override?: JsonObject;
  normal?: JsonObject;
  default?: JsonObject;
}

/** Highest first. Source: https://docs.chef.io/attribute_precedence/ */
const PRECEDENCE = ['automatic', 'override', 'normal', 'default'] as const;

/**
 * The value of an attribute given by its dotted path (`ec2.instance_id`), by Chef's precedence; nil counts as not set.
 * Chef merges hashes of several levels: ask for single values, since of a hash only the highest level's part comes back.
 */
export function attribute(node: ChefNode, path: string): unknown {
  const keys = path.split('.');
  for (const level of PRECEDENCE) {
    const value = keys.reduce(member, node[level]);
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** When Ohai last looked at the host, which is when chef-client last ran there (`ohai_time`, seconds since 1970). */
export function ohaiTime(node: ChefNode): Date | undefined {
  const seconds = attribute(node, 'ohai_time');
  if (typeof seconds !== 'number' || seconds <= 0) return undefined;
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function member(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
