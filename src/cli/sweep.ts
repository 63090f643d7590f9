import { sweep } from '../app/sweep.ts';
import type { Settings } from '../config.ts';
import { isAwsRegion } from '../domain/aws-location.ts';
import type { Given, Outcome } from './context.ts';
import { CliError, EXIT_CODE } from './error.ts';
import { readLiving } from './living.ts';
import { countingBar } from './progress.ts';
import { sweepJson, sweepText } from './sweep-report.ts';

/** @throws CliError `usage` for options that exclude each other, a region that is not one, or a list that cannot be read */
export async function sweepHere({ values, screen }: Given, settings: Settings): Promise<Outcome> {
  const { living, region, apply = false, 'most-are-dead': mostAreDead = false } = values;
  if (living !== undefined && region !== undefined) {
    throw new CliError(
      'usage',
      '--region is where EC2 is asked, and with --living it is not asked: give only one',
    );
  }
  const regions = Array.isArray(region) ? region.map(String) : [];
  const wrong = regions.find(name => !isAwsRegion(name));
  if (wrong !== undefined) {
    throw new CliError('usage', `--region ${JSON.stringify(wrong)} is not an AWS region, such as eu-west-1`);
  }
  const swept = await sweep(settings, {
    living: typeof living === 'string' ? await readLiving(living, process.stdin) : undefined,
    regions,
    apply: apply === true,
    mostAreDead: mostAreDead === true,
    onApplied: countingBar(screen, 'orphaned nodes handed to the service'),
  });
  const now = new Date();
  const report = { json: sweepJson(swept, now), text: sweepText(swept, now) };
  if (swept.refused === undefined) return report;
  const warning = `nothing was applied: ${swept.refused}. If that is true, add --most-are-dead`;
  return { ...report, warning, exitCode: EXIT_CODE.held };
}
