/** One line of the benchmark's table. */
export interface Measured {
  /** What was measured, under which load: `SNS by HTTPS, 64 at once`. */
  what: string;
  /** Of this service. */
  ours: number;
  unit: string;
  /** What it is held against, measured in the same run. */
  against?: { what: string; value: number };
  /** Ours divided by the other, or what else the goal speaks of. */
  ratio?: number;
  goal?: { atLeast: number } | { atMost: number };
}

/** Measured together, on parts of their own. */
export interface Section {
  title: string;
  /** Starts its parts, measures, and stops them; figures that are worth a line while it runs go to `tell`. */
  measure: (tell: (line: string) => void) => Promise<Measured[]>;
}

/** Whether a line met its goal; undefined where it has none. */
export function met({ ours, ratio, goal }: Measured): boolean | undefined {
  if (!goal) return undefined;
  const value = ratio ?? ours;
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}
