import type { Swept } from '../sweep.ts';
import { columns, table } from './table.ts';

/** For programs. */
export function sweepJson({ found, applied }: Swept, now: Date): object {
  const ghosts = found.ghosts.map(ghost => ({ ...ghost, ageSeconds: ageOf(ghost.lastSeen, now) }));
  return { ...found, ghosts, ...(applied && { applied }) };
}

/** For people. */
export function sweepText({ found: { nodes, ghosts, apart }, applied }: Swept, now: Date): string {
  const rows = ghosts.map(({ node, instanceId, lastSeen, reason }) => {
    return [node, instanceId, inWords(ageOf(lastSeen, now)), lastSeen ?? 'never', reason];
  });
  const paragraphs = [
    [
      ...(ghosts.length > 0 ? [table(['NODE', 'INSTANCE', 'UNSEEN FOR', 'LAST SEEN', 'REASON'], rows)] : []),
      `${ghosts.length === 0 ? 'no' : ghosts.length} ghost${ghosts.length === 1 ? '' : 's'} among ${nodes} nodes`,
    ],
    apart.length > 0
      ? [
          `${apart.length} nodes of which it is not known:`,
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

function ageOf(lastSeen: string | null, now: Date): number | null {
  return lastSeen === null ? null : Math.max(0, Math.round((now.getTime() - Date.parse(lastSeen)) / 1000));
}

function inWords(seconds: number | null): string {
  if (seconds === null) return '?';
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2 * 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}
