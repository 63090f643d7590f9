import { generateKeyPairSync } from 'node:crypto';
import { startSnsPublisher } from '../test/support/sns-publisher.ts';
import type { Measured, Section } from './measured.ts';
import { timeAnswers } from './parts/asker.ts';
import { startChefStandIn } from './parts/chef-stand-in.ts';
import { type GrownService, startGrownService } from './parts/grown-service.ts';
import { median } from './statistics.ts';

const SIZES = [100, 1_000, 10_000, 100_000, 1_000_000];
const REPETITIONS = 3;
/** New terminations in each repetition; the first one warms up and does not count. */
const TERMINATIONS = 200;
/** How much a figure with many known terminations may differ from that with few. */
const FLAT = 1.3;

/** Of a service that knows so many terminations. */
interface Figures {
  terminationsPerSecond: number;
  residentMegabytes: number;
  bytesPerTermination: number;
  /** By what is asked, in milliseconds. */
  answers: Record<string, number>;
}

export const growth: Section = {
  title: 'Growth: services that know many terminations, against one that knows few',
  async measure(tell) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const chefKey = String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const [chef, publisher] = await Promise.all([
      startChefStandIn(0),
      startSnsPublisher({ topicArn: 'arn:aws:sns:eu-west-1:000000000000:bench' }),
    ]);
    const services: GrownService[] = [];
    try {
      for (const size of SIZES) {
        services.push(await startGrownService({ chef, chefKey, publisher }, size));
        tell(`${size.toLocaleString('en')} terminations are known`);
      }
      const figures = await measureAll(services);
      const { open } = await chef.report();
      if (open > 0) throw new Error(`${open} nodes and clients are still on the Chef server`);
      for (const [size, found] of figures) tell(`${size.toLocaleString('en')}: ${JSON.stringify(found)}`);
      return lines(figures);
    } finally {
      await Promise.all(services.map(service => service.stop()));
      await Promise.all([chef.stop(), publisher.stop()]);
    }
  },
};

/** All do the same in turn, so that only what they know differs; what they learn meanwhile is little to most of them. */
async function measureAll(services: readonly GrownService[]): Promise<Map<number, Figures>> {
  const answers = await timeAnswers(services);
  const rates = services.map((): number[] => []);
  for (let repetition = 0; repetition <= REPETITIONS; repetition++) {
    for (const [at, service] of services.entries()) {
      const seconds = await service.clear(TERMINATIONS);
      if (repetition > 0) rates[at]?.push(TERMINATIONS / seconds);
    }
  }
  return new Map(
    services.map((service, at) => [
      service.terminations,
      {
        terminationsPerSecond: median(rates[at] ?? []),
        residentMegabytes: service.residentBytes() / 1024 ** 2,
        bytesPerTermination: service.bytesPerTermination,
        answers: answers[at] ?? {},
      },
    ]),
  );
}

function lines(figures: Map<number, Figures>): Measured[] {
  const million: [number, number] = [1_000, 1_000_000];
  const answer = (sizes: [number, number], name: string) =>
    compare(figures, sizes, name, 'ms', ({ answers }) => answers[name] ?? Number.NaN);
  return [
    compare(figures, million, 'terminations done', '/s', each => each.terminationsPerSecond),
    compare(figures, million, 'memory of the service', 'MB', each => each.residentMegabytes),
    compare(figures, million, 'memory of Redis by termination', 'bytes', each => each.bytesPerTermination),
    ...Object.keys(figures.get(million[0])?.answers ?? {}).map(name => answer(million, name)),
    ...['GET / (the page)', 'GET /jobs', 'GET /metrics'].map(name => answer([100, 100_000], name)),
  ];
}

function compare(
  figures: Map<number, Figures>,
  [few, many]: [number, number],
  what: string,
  unit: string,
  figure: (figures: Figures) => number,
): Measured {
  const at = (size: number) => {
    const found = figures.get(size);
    if (!found) throw new Error(`${size} known terminations were not measured`);
    return figure(found);
  };
  return {
    what: `${what}, ${many.toLocaleString('en')} known`,
    ours: at(many),
    unit,
    against: { what: `${few.toLocaleString('en')} known`, value: at(few) },
    ratio: at(many) / at(few),
    goal: unit === '/s' ? { atLeast: 1 / FLAT } : { atMost: FLAT },
  };
}
