import { execFile } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiClient, apiClient } from '../support/api-client.ts';
import { registerNode } from '../support/chef-server.ts';
import { openRoot, type Root } from '../support/package/root.ts';
import { type Running, unpacked, until } from '../support/process.ts';
import { TOKEN } from '../support/service.ts';
import { startWorld, type World } from '../support/world.ts';

const exec = promisify(execFile);
const root = new URL('../../', import.meta.url).pathname;
const USER = 'chef-deregistration';
const SETTINGS = '/etc/chef-deregistration/server.env';
const ARCHIVE = '/var/lib/chef-deregistration/archive';
const SOCKET = '/run/chef-deregistration-chef-client.sock';
const UNITS = '/lib/systemd/system';
const ASK_PROGRAM = '/usr/lib/chef-deregistration-manager/bin/node';
const ASK_ARGUMENTS = ['/usr/lib/chef-deregistration-manager/ask-chef-client.ts', SOCKET];

/** Why packages cannot be built and installed here; the tests then say so. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to install into a root of its own';
  const tools = [
    'dpkg-buildpackage',
    'make',
    'strip',
    'nsenter',
    'systemd-analyze',
    'systemd-socket-activate',
  ];
  const absent = tools.filter(tool => !existsSync(`/usr/bin/${tool}`));
  if (!existsSync('/usr/bin/dh') && !existsSync(unpacked('usr/bin/dh'))) absent.push('debhelper');
  return absent.length > 0 ? `needs ${absent.join(', ')}` : undefined;
}

const why = missing();
describe.skipIf(why)(`the packages${why ? ` (not tested: ${why})` : ''}`, () => {
  let debs: { manager: string; init: string };
  let machine: Root;
  let world: World;
  let api: ApiClient;
  let service: Running;
  let socket: Running;

  beforeAll(async () => {
    const [{ stdout }, opened, started] = await Promise.all([
      exec('sh', ['packaging/build.sh'], { cwd: root }),
      openRoot(),
      startWorld({ hosts: ['packed'] }),
    ]);
    machine = opened;
    world = started;
    const built = (name: string) => join(root, stdout.split('\n').find(line => line.includes(name)) ?? '');
    debs = { manager: built('/chef-deregistration-manager_'), init: built('/chef-registration-init_') };
  }, 300_000);

  afterAll(async () => {
    await service?.stop();
    await socket?.stop();
    await machine?.close();
    await world?.stop();
  });

  /** dpkg without systemd, as in a container: what only a running system does is left to its next start. */
  async function install(...files: string[]): Promise<void> {
    const inside = files.map((file, at) => {
      copyFileSync(file, machine.path(`/srv/${at}.deb`));
      return `/srv/${at}.deb`;
    });
    await machine.run('dpkg', '--install', ...inside);
  }

  /** The service as its unit starts it, but for systemd's confinement. */
  async function startUnit(): Promise<void> {
    const unit = readFileSync(machine.path(`${UNITS}/chef-deregistration-manager.service`), 'utf8');
    const all = (name: string) =>
      [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(found => found[1] ?? '');
    const [user = ''] = all('User');
    const [command = ''] = all('ExecStart');
    const [runtime = ''] = all('RuntimeDirectory').map(name => `/run/${name}`);
    await machine.run(
      'install',
      '-d',
      '-o',
      user,
      '-g',
      user,
      '-m',
      all('RuntimeDirectoryMode')[0] ?? '',
      runtime,
    );
    service = await machine.start(
      'setpriv',
      [
        `--reuid=${user}`,
        `--regid=${user}`,
        '--init-groups',
        'env',
        ...all('Environment'),
        `RUNTIME_DIRECTORY=${runtime}`,
        ...command.split(' '),
      ],
      /"url":"http/,
    );
    api = apiClient(/"url":"(https?:[^"]+)"/.exec(service.output())?.[1] ?? '');
  }

  test('are installed: user, folders and modes are as the units need them', async () => {
    await install(debs.manager, debs.init);
    const modes = await machine.run('stat', '-c', '%n %a %U:%G', SETTINGS, '/var/lib/chef-deregistration');
    expect(modes.trim().split('\n')).toEqual([
      `${SETTINGS} 640 root:${USER}`,
      `/var/lib/chef-deregistration 700 ${USER}:${USER}`,
    ]);
    expect(await machine.run('sh', '-c', 'cd /etc/rc0.d && ls -d K*chef-registration')).toMatch(/^K\d/);
    expect(await machine.run('sh', '-c', 'ls -d /etc/rc6.d/K*chef-registration || true')).toBe('');
  });

  test('have units that systemd takes, and confine what is not chef-client itself', async () => {
    const units = ['chef-deregistration-manager.service', 'chef-deregistration-chef-client.socket'];
    const all = [...units, 'chef-deregistration-chef-client@.service', 'chef-registration.service'];
    // It says what it does not like and exits 0 all the same.
    const said = await machine.run(
      'sh',
      '-c',
      `systemd-analyze verify --man=no ${all.map(unit => `${UNITS}/${unit}`).join(' ')} 2>&1`,
    );
    expect(said).toBe('');
    for (const unit of ['chef-deregistration-manager.service', 'chef-registration.service']) {
      const found = await machine.run(
        'systemd-analyze',
        'security',
        '--offline=true',
        '--threshold=29',
        `${UNITS}/${unit}`,
      );
      expect(found).toMatch(/Overall exposure level for .*: [0-2]\.\d/);
    }
  });

  test('check says what is not right, and that all is well', async () => {
    const key = machine.path('/etc/chef-deregistration/client.pem');
    writeFileSync(key, world.chef.adminKey);
    await machine.run('chown', `root:${USER}`, '/etc/chef-deregistration/client.pem');
    chmodSync(key, 0o640);
    await expect(machine.run('chef-deregistration-manager', 'check')).rejects.toThrow(/CHEF_SERVER_URL/);

    const { env } = world;
    const settings = [
      `CHEF_SERVER_URL=${env['CHEF_SERVER_URL']}`,
      `CHEF_CLIENT_NAME="${env['CHEF_CLIENT_NAME']}"`,
      'CHEF_CLIENT_KEY_FILE=/etc/chef-deregistration/client.pem',
      `REDIS_URL=${env['REDIS_URL']}`,
      `NAGIOS_URL=${env['NAGIOS_URL']}`,
      `NAGIOS_USERNAME=${env['NAGIOS_USERNAME']}`,
      `NAGIOS_PASSWORD='${env['NAGIOS_PASSWORD']}'`,
      `API_TOKENS=tests:${TOKEN}`,
      'PORT=0',
      'TRIGGER_SETTLE_SECONDS=0',
    ];
    writeFileSync(machine.path(SETTINGS), `${settings.join('\n')}\n`, { flag: 'a' });
    expect(await machine.run('chef-deregistration-manager', 'check')).toMatch(/^ok +chef-client$/m);
  });

  test('have one command line: sweep takes the same settings, help needs none, bash completes it', async () => {
    const sweep = 'echo i-0123abcd > living && chef-deregistration-manager --json sweep --living living';
    const found = await machine.run('sh', '-c', `cd /tmp && umask 022 && ${sweep}`);
    expect(JSON.parse(found)).toMatchObject({ living: 1, orphans: [] });
    const unprivileged = [
      'setpriv',
      '--reuid=nobody',
      '--clear-groups',
      'chef-deregistration-manager',
    ] as const;
    expect(await machine.run(...unprivileged, 'sweep', '--help')).toContain('--most-are-dead');
    await expect(machine.run(...unprivileged, 'sweep')).rejects.toThrow(/run it as root/);
    const completion = '. /usr/share/bash-completion/completions/chef-deregistration-manager';
    const complete = `${completion}; COMP_WORDS=(x sw) COMP_CWORD=1; _chef_deregistration_manager; echo $COMPREPLY`;
    expect(await machine.run('bash', '-c', complete)).toBe('sweep\n');
  });

  test('delete a node as the service’s own user, and run chef-client as root', async () => {
    writeFileSync(
      machine.path('/usr/bin/chef-client'),
      '#!/bin/sh\necho "chef-client runs as $(id -un)" >&2\n',
    );
    chmodSync(machine.path('/usr/bin/chef-client'), 0o755);
    const unit = readFileSync(machine.path(`${UNITS}/chef-deregistration-chef-client@.service`), 'utf8');
    const command = /^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '';
    // Systemd's own tool does what the socket unit says, but for the socket's owner and mode.
    socket = await machine.start(
      'systemd-socket-activate',
      ['--accept', '--inetd', `--listen=${SOCKET}`, ...command.split(' ')],
      /Listening on/,
    );
    await machine.run('chown', `root:${USER}`, SOCKET);
    await machine.run('chmod', '660', SOCKET);

    await startUnit();
    expect(await machine.run('ps', '-o', 'user:32=', '-p', String(service.child.pid))).toContain(USER);
    await registerNode(world.chef, { name: 'packed' });
    const id = await api.event({ kind: 'delete', node: 'packed' });
    await until('the deletion', async () => (await api.job(id)).state === 'done');
    expect(await world.chef.chef.getNode('packed')).toBeUndefined();
    const run = await until('the chef-client run', async () => (await api.trigger()).lastRun);
    expect(run).toMatchObject({ exitCode: 0, output: 'chef-client runs as root\n' });
    expect(await machine.run('ls', '/run/chef-deregistration')).toMatch(/^chef-client-\w+\.lock\n$/);
  });

  test('tell the service how a run failed, and that one is under way', async () => {
    const ask = () =>
      machine.run(
        'setpriv',
        `--reuid=${USER}`,
        `--regid=${USER}`,
        '--init-groups',
        ASK_PROGRAM,
        ...ASK_ARGUMENTS,
      );
    writeFileSync(machine.path('/usr/bin/chef-client'), '#!/bin/sh\necho went wrong; exit 42\n');
    await expect(ask()).rejects.toMatchObject({
      message: expect.stringContaining('went wrong'),
      cause: { code: 42 },
    });

    writeFileSync(
      machine.path('/usr/bin/chef-client'),
      '#!/bin/sh\ntouch /run/first; echo begun; until [ -e /run/end ]; do sleep 0.1; done\n',
    );
    const first = ask();
    await until('the first run to begin', () => existsSync(machine.path('/run/first')));
    await expect(ask()).rejects.toMatchObject({ cause: { code: 75, stdout: '', stderr: '' } });
    writeFileSync(machine.path('/run/end'), '');
    expect(await first).toBe('begun\n');
  });

  test('let a run go on when the service that asked for it is gone', async () => {
    const run =
      'touch /run/begun; until [ -e /run/killed ]; do sleep 0.1; done; echo more; touch /run/finished';
    writeFileSync(machine.path('/usr/bin/chef-client'), `#!/bin/sh\n${run}\n`);
    const begun = async () => existsSync(machine.path('/run/begun'));
    const asking = await machine.start(ASK_PROGRAM, ASK_ARGUMENTS, begun);
    await asking.stop('SIGKILL');
    writeFileSync(machine.path('/run/killed'), '');
    await until('the run to end', () => existsSync(machine.path('/run/finished')));
  });

  test('are upgraded: settings and archive stay', async () => {
    await service.stop();
    const before = readFileSync(machine.path(SETTINGS), 'utf8');
    await machine.run(
      'sh',
      '-c',
      'cd /srv && dpkg-deb -R 0.deb new && sed -i "s/^Version: .*/Version: 99/" new/DEBIAN/control',
    );
    await machine.run('dpkg-deb', '-Znone', '--build', '/srv/new', '/srv/new.deb');
    await machine.run('dpkg', '--install', '/srv/new.deb');
    expect(await machine.run('dpkg', '--status', 'chef-deregistration-manager')).toContain('Version: 99\n');
    expect(readFileSync(machine.path(SETTINGS), 'utf8')).toBe(before);
    expect(statSync(machine.path(SETTINGS)).mode & 0o777).toBe(0o640);
    await startUnit();
    const { body } = await api.request('GET', '/archives?node=packed');
    expect(body).toMatchObject({ archives: [{ node: 'packed' }] });
    await service.stop();
  });

  test('are removed: settings and archive stay until the purge, which leaves nothing', async () => {
    await machine.run('dpkg', '--remove', 'chef-deregistration-manager', 'chef-registration-init');
    expect(existsSync(machine.path('/usr/lib/chef-deregistration-manager'))).toBe(false);
    expect(readdirSync(machine.path(`${ARCHIVE}/nodes`))).toEqual(['packed']);
    await machine.run('rm', '/etc/chef-deregistration/client.pem');
    await machine.run('dpkg', '--purge', 'chef-deregistration-manager', 'chef-registration-init');
    const left = await machine.run(
      'sh',
      '-c',
      'ls -d /etc/chef-* /var/lib/chef-* /usr/*/chef-* /etc/rc*.d/*chef* /lib/systemd/system/chef-* /etc/systemd/system/*/chef-* 2>/dev/null || true',
    );
    expect(left).toBe('/usr/bin/chef-client\n');
  });

  const lintian = existsSync('/usr/bin/lintian');
  test.skipIf(!lintian)(
    `are clean for lintian${lintian ? '' : ' (not tested: needs lintian)'}`,
    async () => {
      const { stdout } = await exec('lintian', [
        '--allow-root',
        '--fail-on=error,warning',
        debs.manager,
        debs.init,
      ]);
      expect(stdout).toBe('');
    },
    300_000,
  );
});
