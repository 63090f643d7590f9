import { isControlFlow, type Step, type Steps } from '../run-steps.ts';

/** @param outcome as recorded; `left` where the job went on elsewhere or waits for its turn */
export type ObserveStep = (
  step: string,
  outcome: 'done' | 'skipped' | 'failed' | 'left',
  seconds: number,
) => void;

/** The same steps; each attempt is reported when it is over. */
export function timedSteps(steps: Steps, observe: ObserveStep): Steps {
  const timed = (name: string, step: Step): Step => {
    return async (job, context) => {
      const began = performance.now();
      const tell = (outcome: Parameters<ObserveStep>[1]) =>
        observe(name, outcome, (performance.now() - began) / 1000);
      try {
        const result = await step(job, context);
        tell(result.state);
        return result;
      } catch (error) {
        tell(isControlFlow(error) ? 'left' : 'failed');
        throw error;
      }
    };
  };
  return Object.fromEntries(Object.entries(steps).map(([name, step]) => [name, timed(name, step)])) as Steps;
}
