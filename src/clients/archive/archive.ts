/**
 * JSON text exactly as the Chef server sent it. It is kept and handed back as text and never parsed and written
 * again: that would round numbers beyond 2^53, turn `1.0` into `1`, and reorder keys that look like numbers.
 */
type ChefJson = string;

/** What is saved of a node and its client before either is deleted. */
export interface ArchiveEntry {
  /** Chef node name, which is the client's too. */
  node: string;
  /** EC2 instance id. */
  instanceId?: string | undefined;
  /** Id of the job that deletes. */
  job: string;
  /** The event that the job acts on. */
  event: object;
  /** Who asked for it, where a person or program did. */
  requestedBy?: string | undefined;
  chef: {
    /** GET /nodes/NAME; null where there was none. */
    node: ChefJson | null;
    /** GET /clients/NAME; null where there was none. */
    client: ChefJson | null;
    /** GET /clients/NAME/keys/KEY, one for each key. */
    clientKeys: ChefJson[];
    /** GET /nodes/NAME/_acl, where the server has them. */
    nodeAcl?: ChefJson | undefined;
    /** GET /clients/NAME/_acl, where the server has them. */
    clientAcl?: ChefJson | undefined;
  };
}

/** What a listing tells of a record. */
export interface ArchiveSummary {
  id: string;
  node: string;
  instanceId?: string;
  /** ISO 8601, UTC. */
  savedAt: string;
  job: string;
  requestedBy?: string;
}

/** An entry as it is kept. */
export interface ArchiveRecord extends ArchiveSummary {
  version: 1;
  event: object;
  chef: ArchiveEntry['chef'];
}

export interface ArchiveListing {
  /** Of this node only. */
  node?: string | undefined;
  /** At most so many. */
  limit: number;
  /** `next` of the page before. */
  cursor?: string | undefined;
}

/**
 * Where nodes and clients are kept for a restore. Every save makes a new record, so that a job that runs again
 * never replaces what an earlier attempt saved.
 */
export interface Archive {
  /**
   * Resolves with the record's id once it is safe: only then may anything be deleted.
   * @throws AppError `invalid` where a Chef text is not a JSON object, `unavailable` where it cannot be written
   */
  save(entry: ArchiveEntry): Promise<string>;
  /** @throws AppError `unavailable`; `rejected` where the record is damaged */
  get(id: string): Promise<ArchiveRecord | undefined>;
  /**
   * Newest first.
   * @throws AppError `unavailable`; `invalid` where the cursor is not one of ours
   */
  list(listing: ArchiveListing): Promise<{ archives: ArchiveSummary[]; next: string | null }>;
  /** Removes the records saved before a time and tells how many. */
  prune(olderThan: Date): Promise<number>;
  /** Whether a save would succeed now. @throws AppError `unavailable` */
  probe(): Promise<void>;
  close(): Promise<void>;
}
