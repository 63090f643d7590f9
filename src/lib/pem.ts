/** A label such as `RSA PRIVATE KEY`, and what stands between the lines that name it. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/;

/**
 * A PEM text as it comes out of an environment file: in quotes, with CRLF, or with its line breaks turned into blanks or
 * into `\n` in two characters. None of these is part of a PEM block (RFC 7468), so it can be written again as it was.
 * A text without a PEM block comes back unchanged.
 */
export function normalizePem(text: string): string {
  const [, label, body = ''] = BLOCK.exec(text.replace(/\\+[nr]/g, '\n')) ?? [];
  if (label === undefined) return text;
  // Headers of an encrypted key (`Proc-Type: 4,ENCRYPTED`) have line breaks of their own.
  if (body.includes(':')) return text;
  const lines = body.replace(/\s+/g, '').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join('\n');
}
