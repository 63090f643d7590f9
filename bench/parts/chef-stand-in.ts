import { nodeOf } from '../../test/support/chef-server.ts';
import { type Answer, type Asked, type StandIn, serveStandIn, startStandIn } from './stand-in.ts';
import type { Termination } from './terminations.ts';

/** A Chef server that keeps its nodes and clients in memory and has no ACLs; it looks who signs, not whether correctly. */
export function startChefStandIn(latencyMs: number): Promise<StandIn> {
  return startStandIn(import.meta.filename, latencyMs);
}

const SIGNED = [
  'x-ops-sign',
  'x-ops-userid',
  'x-ops-timestamp',
  'x-ops-content-hash',
  'x-ops-authorization-1',
];
const PUBLIC_KEY = '-----BEGIN PUBLIC KEY-----\nnone\n-----END PUBLIC KEY-----\n';

const objects = { nodes: new Map<string, string>(), clients: new Map<string, string>() };
const names = new Map<string, string>();

function register({ node, instanceId }: Termination): void {
  names.set(instanceId, node);
  objects.nodes.set(node, JSON.stringify(nodeOf({ name: node, instanceId })));
  objects.clients.set(node, JSON.stringify({ name: node, clientname: node, validator: false }));
}

function answer({ method, path, headers }: Asked): Answer | undefined {
  if (SIGNED.some(name => headers[name] === undefined)) return undefined;
  if (method === 'POST' && path.startsWith('/search/node?')) return search(path);
  const [, kind = '', name = '', ...below] = path.split('/');
  if (path === '/environments/_default') return { call: 'probe', text: '{"name":"_default"}' };
  if (kind !== 'nodes' && kind !== 'clients') return undefined;
  const call = [method, kind, ...below].join(' ');
  const object = objects[kind].get(name);
  if (object === undefined) return { call, status: 404, text: `{"error":["${kind} '${name}' not found"]}` };
  switch (call) {
    case 'DELETE nodes':
    case 'DELETE clients':
      objects[kind].delete(name);
      return { call, text: object };
    case 'GET nodes':
    case 'GET clients':
      return { call, text: object };
    case 'GET clients keys':
      return { call, text: '[{"name":"default","expired":false}]' };
    case 'GET clients keys default':
      return {
        call,
        text: JSON.stringify({ name: 'default', public_key: PUBLIC_KEY, expiration_date: 'infinity' }),
      };
    case 'GET nodes _acl':
    case 'GET clients _acl':
      return { call, status: 404, text: '{"error":["no ACLs here"]}' };
    default:
      return undefined;
  }
}

function search(path: string): Answer | undefined {
  const instance = /[?&]q=ec2_instance_id%3A([\w-]+)&/.exec(path)?.[1];
  if (instance === undefined) return undefined;
  const name = names.get(instance);
  const rows =
    name !== undefined && objects.nodes.has(name) ? [{ url: `/nodes/${name}`, data: { name } }] : [];
  return { call: 'search', text: JSON.stringify({ total: rows.length, start: 0, rows }) };
}

if (import.meta.main) {
  serveStandIn({ answer, register, open: () => objects.nodes.size + objects.clients.size });
}
