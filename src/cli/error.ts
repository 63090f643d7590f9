/** What ends a command: 1 refused or failed, 2 wrong usage or settings, 3 a person must decide, 4 service not reached. */
export const EXIT_CODE = { refused: 1, usage: 2, held: 3, unreachable: 4 };

export class CliError extends Error {
  override readonly name = 'CliError';
  readonly kind: keyof typeof EXIT_CODE;

  constructor(kind: keyof typeof EXIT_CODE, message: string) {
    super(message);
    this.kind = kind;
  }
}
