import { type Agent, globalAgent } from 'node:http';

/** The environment with the proxies to use; undefined unless Node is configured to (NODE_USE_ENV_PROXY=1, --use-env-proxy). */
export function proxyEnvironment(): NodeJS.ProcessEnv | undefined {
  return (globalAgent as Agent & { options: { proxyEnv?: NodeJS.ProcessEnv } }).options.proxyEnv;
}

/** What to say of a URL that cannot be reached directly although there is a proxy for it. */
export function unusedProxy({ protocol }: URL): string {
  const name = `${protocol.slice(0, -1).toUpperCase()}_PROXY`;
  const isSet = Boolean(process.env[name] ?? process.env[name.toLowerCase()]);
  return isSet && !proxyEnvironment() ? ` (${name} is set, but is used only with NODE_USE_ENV_PROXY=1)` : '';
}
