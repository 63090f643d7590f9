import type { Tracing } from '../../observability/tracing.ts';
import type { Step, Steps } from '../run-steps.ts';

/** The same steps; each attempt is a span in the trace of the message that the job came from. */
export function tracedSteps(steps: Steps, { span }: Tracing): Steps {
  const traced = (name: string, step: Step): Step => {
    return (job, context) => {
      const about = { job: job.id, kind: job.kind, node: job.node ?? undefined, attempts: job.attempts };
      return span(`step ${name}`, about, () => step(job, context), job.trace);
    };
  };
  return Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, traced(name, step)])) as Steps;
}
