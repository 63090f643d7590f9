import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { syncFolder, writeWhole } from '../../src/clients/archive/file/disk.ts';
import { ChefConnection } from '../../src/clients/chef/connection.ts';
import { clientIdentity, clientKeys } from '../../src/clients/chef/keys.ts';
import { nodeSearch } from '../../src/clients/chef/search.ts';
import { takeSnapshot } from '../../src/clients/chef/snapshot.ts';
import type { ObserveCall } from '../../src/clients/http/request.ts';
import { NagiosClient } from '../../src/clients/nagios/client.ts';
import { freshDirectory } from '../../test/support/process.ts';
import {
  type Calls,
  type Clear,
  type Comparator,
  each,
  serveComparator,
  startComparator,
  type Target,
} from './comparator.ts';
import type { Termination } from './terminations.ts';

/**
 * The calls that a deletion takes, those of its checks too, in their order and with nothing between them: no queue, no record, no
 * decision.
 */
export function startBareLoop(target: Target): Promise<Comparator> {
  return startComparator(import.meta.filename, target);
}

const LIST_EVERY_MS = 1_000;

async function open({ chef, nagios }: Target): Promise<Clear> {
  const archive = freshDirectory('bare-archive');
  const calls: Calls = { chef: 0, nagios: 0 };
  const observe: ObserveCall = ({ service }) => {
    calls[service === 'Nagios' ? 'nagios' : 'chef'] += 1;
  };
  const server = new ChefConnection({ ...chef, observe });
  const monitor = nagios && new NagiosClient({ ...nagios, downtimeMinutes: 120, dateFormat: 'us', observe });
  const get = (kind: string, name: string) => server.get(kind, name);
  const remove = (kind: string, name: string) => server.call({ method: 'DELETE', target: [kind, name] });
  const look = (name: string) => Promise.all([get('nodes', name), clientIdentity(server, name)]);
  const comment = ({ node }: Termination) => `instance terminated, ${node}`;

  return async (terminations, atOnce, asking) => {
    const begun = performance.now();
    const goneMs: number[] = [];
    const unproved = new Set<string>();

    const clear = async (termination: Termination): Promise<void> => {
      const { node, instanceId } = termination;
      const started = performance.now();
      if (asking.first === 'key') await clientKeys(server, node);
      if (asking.first === 'search') await nodeSearch(server, 'ec2.instance_id', instanceId);
      await get('nodes', node);
      await look(node);
      if (monitor) {
        const { outcome } = await monitor.scheduleDowntime({ host: node, comment: comment(termination) });
        if (outcome !== 'submitted') throw new Error(`Nagios has no host ${node}`);
        unproved.add(comment(termination));
      }
      const snapshot = await takeSnapshot(server, node);
      await writeWhole(join(archive, `${node}.json`), join(archive, randomUUID()), JSON.stringify(snapshot));
      await syncFolder(archive);
      await look(node);
      await remove('clients', node);
      await look(node);
      const { status } = await remove('nodes', node);
      goneMs.push(performance.now() - started);
      if (status !== 200) throw new Error(`DELETE of node ${node} answered ${status}`);
      await look(node);
    };

    let working = true;
    const prove = async (): Promise<void> => {
      while (monitor && asking.proof && (working || unproved.size > 0)) {
        await delay(LIST_EVERY_MS);
        const { downtimes } = await monitor.listDowntimes();
        for (const { type, comment } of downtimes) if (type === 'host') unproved.delete(comment);
      }
    };
    const proving = prove();
    await each(terminations, atOnce, clear);
    working = false;
    const seconds = (performance.now() - begun) / 1000;
    await proving;
    return { seconds, provedSeconds: (performance.now() - begun) / 1000, goneMs, calls };
  };
}

if (import.meta.main) serveComparator(open);
