/** cmd.cgi keeps 1024 bytes of a comment; this leaves space for the rest of the command. */
const LONGEST = 500;

/**
 * A comment as Nagios keeps and shows it: printable ASCII on one line, without what it splits commands at (`;`), drops
 * (`<`, `>`) or cannot show again (any other character empties the comment in statusjson.cgi). Accents go, the letters stay.
 */
export function cleanComment(text: string): string {
  return text
    .normalize('NFKD')
    .replace(/\p{Mark}+/gu, '')
    .replace(/[;\s]+/g, ' ')
    .replace(/[<>]/g, '')
    .replace(/[^ -~]/gu, '?')
    .replace(/ +/g, ' ')
    .trimStart()
    .slice(0, LONGEST)
    .trimEnd();
}
