export const PERMISSIONS = ['create', 'read', 'update', 'delete', 'grant'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** Who asks: a user or a client. A client made again under its old name is another actor. */
export interface Actor {
  name: string;
  keys: Map<string, { name: string; public_key: string; expiration_date: string }>;
  groups: string[];
}

export type AclJson = Record<Permission, { actors: string[]; groups: string[] }>;

/** The rights on one object. */
export class Acl {
  readonly #entries: Record<Permission, { actors: Set<Actor>; groups: string[] }>;

  /** Whoever makes an object has every right on it, and so have the administrators. */
  constructor(creator: Actor) {
    const entry = () => ({ actors: new Set([creator]), groups: ['admins'] });
    this.#entries = { create: entry(), read: entry(), update: entry(), delete: entry(), grant: entry() };
  }

  allows(actor: Actor, permission: Permission): boolean {
    const { actors, groups } = this.#entries[permission];
    return actors.has(actor) || groups.some(group => actor.groups.includes(group));
  }

  set(permission: Permission, actors: Actor[], groups: string[]): void {
    this.#entries[permission] = { actors: new Set(actors), groups };
  }

  /** An actor that is deleted leaves every ACL. */
  forget(actor: Actor): void {
    for (const { actors } of Object.values(this.#entries)) actors.delete(actor);
  }

  toJSON(): AclJson {
    const entries = PERMISSIONS.map(permission => {
      const { actors, groups } = this.#entries[permission];
      return [permission, { actors: [...actors].map(({ name }) => name), groups }];
    });
    return Object.fromEntries(entries);
  }
}
