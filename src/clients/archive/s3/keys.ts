import { earliestId, nodeFolder } from '../record.ts';

/**
 *     PREFIX/records/REVERSED_ID_NODE.json   the records
 *     PREFIX/nodes/NODE/REVERSED_ID          a newline; a node's listing reads the names of these
 *     PREFIX/probe                           written to see whether it can be
 *
 * S3 lists keys in ascending order only, so each begins with its id turned round: the newest is the first, however
 * many there are. NODE is `nodeFolder` of the name, which has no slash.
 */
export interface S3Keys {
  records: string;
  probe: string;
  record(id: string, node: string): string;
  /** Begins the key of the one record of this id. */
  recordPrefix(id: string): string;
  marker(id: string, node: string): string;
  markers(node: string): string;
  /** The record of a marker. */
  recordOf(marker: string, node: string): string;
  /** The marker of a record. */
  markerOf(record: string): string;
  /** Sorts after all keys of a listing up to this id, and before the older ones. */
  after(listing: string, id: string): string;
  /** Sorts after all keys saved at or after this time, and before the older ones. */
  before(listing: string, time: Date): string;
}

/** @param prefix without a slash at either end; may be empty */
export function s3Keys(prefix: string): S3Keys {
  const root = prefix === '' ? '' : `${prefix}/`;
  const records = `${root}records/`;
  const markers = (folder: string) => `${root}nodes/${folder}/`;
  return {
    records,
    probe: `${root}probe`,
    record: (id, node) => `${records}${reversed(id)}_${id}_${nodeFolder(node)}.json`,
    recordPrefix: id => `${records}${reversed(id)}_${id}_`,
    marker: (id, node) => `${markers(nodeFolder(node))}${reversed(id)}_${id}`,
    markers: node => markers(nodeFolder(node)),
    recordOf: (marker, node) => `${records}${lastSegment(marker)}_${nodeFolder(node)}.json`,
    markerOf: record => {
      const [, name = '', folder = ''] = /^([^_]*_[^_]*)_(.*)\.json$/.exec(lastSegment(record)) ?? [];
      return `${markers(folder)}${name}`;
    },
    // The id's own key goes on with `_`, which sorts before `~`.
    after: (listing, id) => `${listing}${reversed(id)}~`,
    before: (listing, time) => `${listing}${reversed(earliestId(time))}~`,
  };
}

/** The id of a record's or a marker's key. */
export function idOfKey(key: string): string {
  return lastSegment(key).split('_')[1] ?? '';
}

/** Every digit turned round, decimal ones of the time and hexadecimal ones after it: a later id sorts before an earlier one. */
function reversed(id: string): string {
  const dash = id.indexOf('-');
  const time = id.slice(0, dash).replace(/\d/g, digit => String(9 - Number(digit)));
  const random = id
    .slice(dash + 1)
    .replace(/[\da-f]/g, digit => (15 - Number.parseInt(digit, 16)).toString(16));
  return `${time}-${random}`;
}

function lastSegment(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
