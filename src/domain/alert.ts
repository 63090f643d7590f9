/** Something that a person should look at; plain data, as every channel sends it. */
export interface Alert {
  name: AlertName;
  severity: Severity;
  /** ISO 8601, UTC. */
  at: string;
  node?: string;
  instanceId?: string;
  /** Id of the job: `GET /jobs/ID` tells each of its steps. */
  job?: string;
  whatHappened: string;
  whatToDo: string;
}

type Severity = 'error' | 'warning';

interface Kind {
  severity: Severity;
  whatToDo: string;
}

/** Every alert there is. */
export const ALERTS = {
  'ensure-requested': {
    severity: 'warning',
    whatToDo:
      'find out who deleted the node and why; the job tells what was restored, GET /archives?node= what there is',
  },
  'job-failed': {
    severity: 'error',
    whatToDo: 'remove the cause that the error names, then send POST /jobs/ID/retry',
  },
  'job-held': {
    severity: 'warning',
    whatToDo:
      'read GET /jobs/ID, then decide: POST /jobs/ID/approve lets it pass this reason for the machine that is shown, POST /jobs/ID/discard gives it up',
  },
  'too-many-deletions': {
    severity: 'error',
    whatToDo:
      'find out why so many instances end; then POST /jobs/approve?error=over-budget lets the deletions go on that are held for just that, POST /jobs/discard?error=over-budget gives them up',
  },
  'node-came-back': {
    severity: 'warning',
    whatToDo:
      'look whether the host lives: if it does, find out who said that it died; if not, POST /events with kind delete, its node and its instanceId',
  },
  'instances-unverified': {
    severity: 'error',
    whatToDo:
      'correct what the error names; POST /jobs/approve?error=unverified lets the deletions go on that are held for just that, without AWS’s confirmation; POST /jobs/discard?error=unverified gives them up',
  },
  'quarantine-full': {
    severity: 'error',
    whatToDo:
      'find out who publishes to the topics and queues of hosts without a signature that can be checked, and stop it; GET /jobs?state=held lists what still waits',
  },
  'jobs-paused': {
    severity: 'error',
    whatToDo:
      'remove the cause that the error names; the jobs wait, none is lost, and they go on by themselves',
  },
  'chef-credentials': {
    severity: 'error',
    whatToDo:
      'check CHEF_CLIENT_NAME, its key and this host’s clock; deletions and restores wait until the Chef server accepts them',
  },
  'redis-away': {
    severity: 'error',
    whatToDo: 'until Redis can be used again, events are answered 503, and SNS and SQS keep them',
  },
  'trigger-failed': {
    severity: 'error',
    whatToDo: 'read its output in GET /trigger; it is run again until it exits 0',
  },
  'trigger-blocked': {
    severity: 'error',
    whatToDo:
      'on that host find the process that holds the lock (lslocks lists all) and end it if it hangs; the next run then begins by itself',
  },
  unsubscribed: {
    severity: 'error',
    whatToDo:
      'if it was not meant, restart the service or subscribe PUBLIC_URL/sns to the topic again: no events come that way',
  },
  'raw-delivery': {
    severity: 'error',
    whatToDo:
      'set RawMessageDelivery of the subscription to false: raw messages carry no signature and are refused',
  },
} satisfies Record<string, Kind>;

export type AlertName = keyof typeof ALERTS;

/** Whom an alert is about. */
export type Subject = Partial<Record<'node' | 'instanceId' | 'job', string | null | undefined>>;

/** @param toDo what to do in this case, if it is not the same in all @default as ALERTS has it */
export function alert(
  name: AlertName,
  whatHappened: string,
  { node, instanceId, job }: Subject = {},
  toDo?: string,
): Alert {
  const { severity, whatToDo } = { ...ALERTS[name], ...(toDo !== undefined && { whatToDo: toDo }) };
  return {
    name,
    severity,
    at: new Date().toISOString(),
    ...(node && { node }),
    ...(instanceId && { instanceId }),
    ...(job && { job }),
    whatHappened,
    whatToDo: job ? whatToDo.replaceAll('/jobs/ID', `/jobs/${job}`) : whatToDo,
  };
}

/** One line: `error job-failed: node web-1`. */
export function headline({ severity, name, node, instanceId }: Alert): string {
  const about = node ? `node ${node}` : instanceId && `instance ${instanceId}`;
  return `${severity} ${name}${about ? `: ${about}` : ''}`;
}

/** What a person reads. */
export function inWords(alert: Alert): string {
  const { node, instanceId, job, whatHappened, whatToDo } = alert;
  const facts = [node && `Node: ${node}`, instanceId && `Instance: ${instanceId}`, job && `Job: ${job}`];
  return [
    headline(alert),
    `What happened: ${whatHappened}`,
    `What to do: ${whatToDo}`,
    ...facts.filter(fact => typeof fact === 'string'),
  ].join('\n');
}
