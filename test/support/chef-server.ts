import type { ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ChefClient } from '../../src/clients/chef/client.ts';
import type { ChefNode } from '../../src/domain/chef-node.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { freePort, freshDirectory, start, unpacked, until } from './process.ts';

export interface ChefServer {
  /** Base URL; goiardi has no organizations. */
  url: string;
  /** A user that may do everything. */
  adminName: 'admin';
  /** PEM */
  adminKey: string;
  /** Signed in as admin, to arrange and to assert; closed by stop. */
  chef: ChefClient;
  child: ChildProcess;
  /** Everything is in here: a server started again in it, after a stop by SIGTERM, has the same nodes, clients and keys. */
  directory: string;
  /** SIGTERM by default. */
  stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface ChefServerOptions {
  port?: number;
  /** PEM: a certificate for 127.0.0.1 of an authority that whoever calls the server trusts. */
  tls?: { cert: string; key: string };
  /** Of a server that was stopped. */
  directory?: string;
}

/** Starts goiardi, a Chef server, on 127.0.0.1. */
export async function startChefServer(options: ChefServerOptions = {}): Promise<ChefServer> {
  const port = options.port ?? (await freePort());
  const directory = options.directory ?? freshDirectory('chef');
  const adminKeyFile = join(directory, 'admin.pem');
  const args = ['--use-auth', '--ipaddress=127.0.0.1', '--hostname=127.0.0.1', `--port=${port}`];
  args.push(`--conf-root=${directory}`, '--data-file=data', '--index-file=index', '--freeze-interval=3600');
  // Nodes of real hosts are larger than goiardi's limits allow by default.
  args.push('--json-req-max-size=20000000', '--index-val-trim=200');
  if (options.tls) {
    writeFileSync(join(directory, 'server.crt'), options.tls.cert);
    writeFileSync(join(directory, 'server.key'), options.tls.key, { mode: 0o600 });
    args.push('--use-ssl', '--ssl-cert=server.crt', '--ssl-key=server.key');
  }
  const server = await start(unpacked('usr/bin/goiardi'), {
    args,
    cwd: directory,
    ready: async () => existsSync(adminKeyFile) && (await listens(port)),
  });
  const url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const adminKey = readFileSync(adminKeyFile, 'utf8');
  const chef = new ChefClient({ url, clientName: 'admin', key: adminKey });
  const stop = async (signal?: NodeJS.Signals) => {
    await chef.close();
    await server.stop(signal);
  };
  return { url, adminName: 'admin', adminKey, chef, child: server.child, directory, stop };
}

export interface Host {
  /** Of the node and of its client. */
  name: string;
  instanceId?: string;
  /** When chef-client last ran there. @default now */
  ohaiTime?: Date;
  /** Beside what Ohai reports of every host. */
  automatic?: JsonObject;
  override?: JsonObject;
  normal?: JsonObject;
  default?: JsonObject;
  runList?: string[];
  environment?: string;
  /** A key pair of its own, which takes a moment to make; else all hosts share one. */
  ownKey?: boolean;
}

export interface RegisteredNode {
  node: ChefNode;
  clientName: string;
  /** PEM, what the host has in /etc/chef/client.pem. */
  privateKey: string;
}

/**
 * Registers a host as its first chef-client run does: a client with a key, and a node with what Ohai found. Resolves when
 * search shows the node under its instance id, which goiardi does a moment later.
 */
export async function registerNode({ chef }: Pick<ChefServer, 'chef'>, host: Host): Promise<RegisteredNode> {
  const { publicKey, privateKey } = host.ownKey ? keyPair() : sharedKeyPair();
  await chef.createClient({ name: host.name, public_key: publicKey });
  const node = nodeOf(host);
  await chef.createNode(node);
  const { instanceId } = host;
  if (instanceId !== undefined) {
    await until(`search to show ${host.name}`, async () =>
      (await chef.findNodeNames('ec2.instance_id', instanceId)).includes(host.name),
    );
  }
  return { node, clientName: host.name, privateKey };
}

/** What the server has of a host, as the texts that it sends; null for what it has not. */
export async function textsOf(
  { chef }: Pick<ChefServer, 'chef'>,
  name: string,
): Promise<{ node: string | null; client: string | null }> {
  const { node, client } = await chef.snapshot(name);
  return { node, client };
}

/** The node object that chef-client saves for a host on EC2. */
export function nodeOf(host: Host): ChefNode {
  const { name, instanceId, ohaiTime = new Date() } = host;
  return {
    name,
    chef_type: 'node',
    json_class: 'Chef::Node',
    chef_environment: host.environment ?? '_default',
    run_list: host.runList ?? ['recipe[base]'],
    automatic: {
      fqdn: `${name}.example.com`,
      hostname: name.split('.')[0],
      ipaddress: '10.0.0.10',
      platform: 'debian',
      ohai_time: ohaiTime.getTime() / 1000,
      ...(instanceId && { cloud: { provider: 'ec2' }, ec2: { instance_id: instanceId } }),
      ...host.automatic,
    },
    override: host.override ?? {},
    normal: host.normal ?? { tags: [] },
    default: host.default ?? {},
  };
}

interface KeyPair {
  publicKey: string;
  privateKey: string;
}

let shared: KeyPair | undefined;

function sharedKeyPair(): KeyPair {
  shared ??= keyPair();
  return shared;
}

/** An RSA key pair as chef-client makes it, both PEM. */
export function keyPair(): KeyPair {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
