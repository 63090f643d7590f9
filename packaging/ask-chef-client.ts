import { connect } from 'node:net';

/**
 * The packaged CHEF_CLIENT_COMMAND: connects to a socket of systemd's, which runs chef-client as root, shows the
 * output and exits with the run's exit code. The service itself needs no rights for it but to connect.
 */

// EX_TEMPFAIL tells the service that a run is still under way.
process.once('SIGTERM', () => finish(75, 'told to end; the chef-client run itself goes on'));

const [path = '/run/chef-deregistration-chef-client.sock'] = process.argv.slice(2);

const socket = connect(path).setEncoding('utf8');
let held = '';
socket.on('data', (text: string) => {
  held += text;
  // What follows the last NUL may be the exit code.
  const end = held.lastIndexOf('\0');
  process.stdout.write(end < 0 ? held : held.slice(0, end));
  held = end < 0 ? '' : held.slice(end);
});
socket.on('end', () => {
  const code = /^\0(\d{1,3})\n$/.exec(held)?.[1];
  if (code !== undefined) return finish(Number(code));
  finish(1, 'the run ended without an exit code; see: journalctl -u "chef-deregistration-chef-client@*"');
});
socket.on('error', error => {
  finish(1, `${error.message}; is the socket there? systemctl start chef-deregistration-chef-client.socket`);
});

function finish(code: number, fault?: string): void {
  if (fault) process.stderr.write(`ask-chef-client: ${fault}\n`);
  process.exit(code);
}
