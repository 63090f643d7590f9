// Looks for known vulnerabilities and for surprises in what is installed. The lock file is checked always; the registry
// is asked where it answers audits, and where it does not, that is said and is not a failure.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

interface Package {
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  deprecated?: string;
}

const root = new URL('..', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, root), 'utf8'));
const { allowScripts = {} } = read('package.json') as { allowScripts?: Record<string, boolean> };
const { packages } = read('package-lock.json') as { packages: Record<string, Package> };

/** What is wrong with a package as it was locked. */
function faults(path: string, locked: Package): string[] {
  const name = path.split('node_modules/').at(-1) ?? path;
  return [
    // Without a place of its own it comes from the registry that npm is set to, and must have this content.
    ...(locked.resolved?.startsWith('https://registry.npmjs.org/') === false
      ? ['does not come from the npm registry']
      : []),
    ...(locked.integrity?.startsWith('sha512-') ? [] : ['has no SHA-512 of its content']),
    ...(locked.hasInstallScript && !(name in allowScripts)
      ? ['wants to run a script when it is installed: decide in allowScripts of package.json']
      : []),
    ...(locked.deprecated === undefined ? [] : [`is deprecated: ${locked.deprecated}`]),
  ].map(fault => `${path} ${fault}`);
}

interface Report {
  metadata?: { vulnerabilities: Record<string, number> };
  message?: string;
}

function askRegistry(): Promise<Report> {
  return new Promise(resolve => {
    const args = ['audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=20000'];
    execFile('npm', args, { cwd: root, timeout: 60_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      try {
        resolve(JSON.parse(stdout));
      } catch {
        resolve({ message: error?.message ?? 'no answer' });
      }
    });
  });
}

const found = Object.entries(packages).flatMap(([path, locked]) =>
  path === '' || locked.link ? [] : faults(path, locked),
);
for (const fault of found) console.error(`audit: ${fault}`);

const { metadata, message = 'no answer' } = await askRegistry();
const { high = 0, critical = 0 } = metadata?.vulnerabilities ?? {};
if (!metadata) {
  const why = message.split('\n')[0];
  console.error(
    `audit: the registry answers no audits here, so known vulnerabilities were not looked for (${why})`,
  );
} else if (high + critical > 0) {
  console.error(`audit: ${high} high and ${critical} critical vulnerabilities; run: npm audit --omit=dev`);
}
process.exitCode = found.length > 0 || high + critical > 0 ? 1 : 0;
