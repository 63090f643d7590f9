import { randomUUID, sign } from 'node:crypto';
import { hostSignatureText } from '../../src/domain/host-signature.ts';

export interface HostSigning {
  /** PEM, what the host has in /etc/chef/client.pem. */
  privateKey: string;
  /** The topic that it is published to. */
  topicArn: string;
  /** Now by default. */
  time?: Date;
  /** A new one by default. */
  nonce?: string;
}

/** What a host says of itself, signed as docs/host-messages.md says. */
export function signHostMessage(
  message: Record<string, unknown>,
  { privateKey, topicArn, time = new Date(), nonce = randomUUID() }: HostSigning,
): Record<string, unknown> {
  const audience = topicArn.split(':').at(-1) ?? '';
  const about = { audience, time: time.toISOString().replace(/\.\d+/, ''), nonce };
  const value = sign('sha256', Buffer.from(hostSignatureText(message, about)), privateKey).toString('base64');
  return { ...message, signature: { version: '1', ...about, value } };
}
