import { type Alert, headline, inWords } from '../domain/alert.ts';
import type { AlertChannel } from './channel.ts';

/** As SnsClient has it. */
type Publish = (topicArn: string, message: { subject: string; text: string; id: string }) => Promise<void>;

/** Longest subject, in characters. Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
const SUBJECT_LENGTH = 100;
/** A message may have 256 KiB in all, and JSON may write one byte as six. */
const TEXT_LENGTH = 20_000;

/** Alerts as messages of an SNS topic: people read the text, programs the JSON on its last line. */
export function snsAlerts(topicArn: string, publish: Publish): AlertChannel {
  return {
    name: 'sns',
    send: alert => publish(topicArn, { ...message(alert), id: messageId(alert) }),
    close: async () => {},
  };
}

function message(alert: Alert): { subject: string; text: string } {
  const whatHappened = alert.whatHappened.slice(0, TEXT_LENGTH);
  const short = { ...alert, whatHappened };
  return { subject: subject(alert), text: `${inWords(short)}\n\n${JSON.stringify(short)}\n` };
}

/** ASCII without control characters, beginning with a letter, as SNS wants it. */
function subject(alert: Alert): string {
  return `chef-deregistration ${headline(alert)}`
    .replace(/[^ -~]+/g, '?')
    .slice(0, SUBJECT_LENGTH)
    .trimEnd();
}

function messageId({ name, node, instanceId, job, at }: Alert): string {
  return [name, node ?? instanceId, job, at].filter(Boolean).join(' ');
}
