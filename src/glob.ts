/** A pattern with `*`, `?` and `[abc]`, as a regular expression for the whole text. */
export function globToRegExp(glob: string): RegExp {
  const source = glob
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`);
}

/** @param globs of HOOK or GROUP/HOOK */
export function isOurHook(
  globs: readonly string[],
  { group, hook }: { group: string; hook: string },
): boolean {
  return globs.some(glob => globToRegExp(glob).test(glob.includes('/') ? `${group}/${hook}` : hook));
}
