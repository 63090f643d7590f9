import type { Comparison } from './ghosts.ts';

/** What became of a ghost that was handed to the service. */
export interface Applied {
  node: string;
  job: string;
  outcome: string;
}

/** For programs. */
export function sweepJson(found: Comparison, now: Date, applied: Applied[] | undefined): string {
  const ghosts = found.ghosts.map(ghost => ({ ...ghost, ageSeconds: ageOf(ghost.lastSeen, now) }));
  return `${JSON.stringify({ ...found, ghosts, ...(applied && { applied }) }, null, 2)}\n`;
}

/** For people. */
export function sweepTable(found: Comparison, now: Date, applied: Applied[] | undefined): string {
  const { nodes, ghosts, apart } = found;
  const rows = ghosts.map(({ node, instanceId, lastSeen, reason }) => {
    return [node, instanceId, inWords(ageOf(lastSeen, now)), lastSeen ?? 'never', reason];
  });
  const parts = [
    ...(ghosts.length > 0 ? table([['NODE', 'INSTANCE', 'UNSEEN FOR', 'LAST SEEN', 'REASON'], ...rows]) : []),
    `${ghosts.length === 0 ? 'no' : ghosts.length} ghost${ghosts.length === 1 ? '' : 's'} among ${nodes} nodes`,
    ...(apart.length > 0 ? ['', `${apart.length} nodes of which it is not known:`] : []),
    ...table(apart.map(({ node, reason }) => [`  ${node}`, reason])),
    ...(applied ? ['', ...table([['NODE', 'JOB', 'OUTCOME'], ...applied.map(columns)])] : []),
  ];
  return `${parts.join('\n')}\n`;
}

function columns({ node, job, outcome }: Applied): string[] {
  return [node, job, outcome];
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

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
