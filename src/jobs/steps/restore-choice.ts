import type { Archive, ArchiveRecord, ArchiveSummary } from '../../clients/archive/archive.ts';
import type { ChefNode } from '../../domain/chef-node.ts';
import { AppError } from '../../domain/errors.ts';

export interface ChoiceDependencies {
  archive: Archive;
  attribute: (node: ChefNode, path: string) => unknown;
  /** Dotted path of the node attribute that holds the EC2 instance id. */
  instanceAttribute: string;
}

export interface Wish {
  node: string;
  /** The host that asks, or that is asked for. */
  instanceId: string | null;
  /** The archive that a person chose. */
  archive: string | undefined;
}

/** What a node and its client are restored from. A deletion cut short leaves them in two archives. */
export interface Choice {
  node?: ArchiveRecord;
  client?: ArchiveRecord;
}

/** Archives looked through, newest first; a node has few, and one of the first has all. */
const LOOKED_THROUGH = 50;

/**
 * The archive that was chosen, or the newest of the host that have its node and its client. An archive of another
 * instance is another host's: its client's key is not this one's.
 * @throws AppError `invalid` for a chosen archive that is not there or of another node; `other-archive` where
 * there are archives of this node's name but none of its instance; `rejected` for a damaged one
 */
export async function chooseArchives(wish: Wish, dependencies: ChoiceDependencies): Promise<Choice> {
  if (wish.archive !== undefined) return chosen(wish, wish.archive, dependencies);
  const { archive } = dependencies;
  const { archives } = await archive.list({ node: wish.node, limit: LOOKED_THROUGH });
  const choice: Choice = {};
  let { instanceId } = wish;
  for (const { id } of archives) {
    const record = await archive.get(id);
    if (!record) continue;
    const instance = instanceOf(record, dependencies);
    // Asked for by name alone, the newest tells which host it is; what says nothing fits any.
    if (
      wish.instanceId === null ? instance && instanceId && instance !== instanceId : instance !== instanceId
    )
      continue;
    instanceId ??= instance ?? null;
    if (record.chef.node !== null) choice.node ??= record;
    if (record.chef.client !== null) choice.client ??= record;
    if (choice.node && choice.client) break;
  }
  if (!choice.node && !choice.client && archives[0]) throw noneOfThisInstance(wish, archives[0]);
  return choice;
}

async function chosen(
  { node, instanceId }: Wish,
  id: string,
  dependencies: ChoiceDependencies,
): Promise<Choice> {
  const record = await dependencies.archive.get(id);
  checkChosen(id, record, node);
  const instance = instanceOf(record, dependencies);
  if (instanceId !== null && instance !== undefined && instance !== instanceId) {
    throw new AppError(
      'other-archive',
      `archive ${id} of node ${node} is of instance ${instance}, and instance ${instanceId} was asked for`,
    );
  }
  return {
    ...(record.chef.node !== null && { node: record }),
    ...(record.chef.client !== null && { client: record }),
  };
}

/** @throws AppError `invalid` */
function checkChosen(
  id: string,
  record: ArchiveRecord | undefined,
  node: string,
): asserts record is ArchiveRecord {
  if (record?.node === node) return;
  const wrong = record
    ? `archive ${id} is of node ${record.node}, not of ${node}`
    : `there is no archive ${id}`;
  throw new AppError('invalid', `${wrong}; GET /archives?node=${node} lists those of ${node}`);
}

/** The instance of an archived node: what the node says itself counts, then what the event of its deletion said. */
export function instanceOf(
  { chef, instanceId }: ArchiveRecord,
  { attribute, instanceAttribute }: ChoiceDependencies,
): string | undefined {
  const value = chef.node === null ? undefined : attribute(JSON.parse(chef.node), instanceAttribute);
  return typeof value === 'string' ? value : instanceId;
}

function noneOfThisInstance({ node, instanceId }: Wish, { id, savedAt }: ArchiveSummary): AppError {
  return new AppError(
    'other-archive',
    `no archive of node ${node} is of instance ${instanceId}; the newest is ${id} of ${savedAt}. Nothing was restored: if it is the right one, ask for it by POST /events with "archive": "${id}" and no instanceId`,
  );
}
