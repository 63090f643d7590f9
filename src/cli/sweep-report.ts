import type { Swept } from '../app/sweep.ts';
import { columns, table } from './table.ts';

/** For programs. */
export function sweepJson({ found, applied }: Swept, now: Date): object {
  const orphans = found.orphans.map(orphan => ({ ...orphan, ageSeconds: ageOf(orphan.lastSeen, now) }));
  return { ...found, orphans, ...(applied && { applied }) };
}

/** For people. */
export function sweepText({ found: { nodes, orphans, apart }, applied }: Swept, now: Date): string {
  const rows = orphans.map(({ node, instanceId, lastSeen, reason }) => {
    return [node, instanceId, inWords(ageOf(lastSeen, now)), lastSeen, reason];
  });
  const paragraphs = [
    [
      ...(orphans.length > 0 ? [table(['NODE', 'INSTANCE', 'UNSEEN FOR', 'LAST SEEN', 'REASON'], rows)] : []),
      `${orphans.length || 'no'} orphaned ${plural(orphans.length)} among ${nodes} nodes`,
    ],
    apart.length > 0
      ? [
          `${apart.length} ${plural(apart.length)} whose instance may live, left alone:`,
          columns(apart.map(({ node, reason }) => [`  ${node}`, reason])),
        ]
      : [],
    applied
      ? [
          table(
            ['NODE', 'JOB', 'OUTCOME'],
            applied.map(({ node, job, outcome }) => [node, job, outcome]),
          ),
        ]
      : [],
  ];
  return paragraphs
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n');
}

function plural(count: number): string {
  return count === 1 ? 'node' : 'nodes';
}

function ageOf(lastSeen: string, now: Date): number {
  return Math.max(0, Math.round((now.getTime() - Date.parse(lastSeen)) / 1000));
}

function inWords(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2 * 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}
