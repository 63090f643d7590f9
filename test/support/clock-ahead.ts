/** Imported before a program starts (node --import), sets its clock as many minutes ahead as CLOCK_AHEAD_MINUTES says. */
const RealDate = Date;
const ahead = Number(process.env['CLOCK_AHEAD_MINUTES']) * 60_000;

globalThis.Date = class extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    super(...((given.length > 0 ? given : [RealDate.now() + ahead]) as [number]));
  }

  static override now(): number {
    return RealDate.now() + ahead;
  }
} as DateConstructor;
