/** Whether a text is a pattern that `globToRegExp` can read. */
export function isGlob(text: string): boolean {
  try {
    return Boolean(globToRegExp(text));
  } catch {
    return false;
  }
}

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
