import type { RequestListener } from 'node:http';
import { generate } from 'selfsigned';
import type { CertificateOptions } from '../certificates.ts';
import { type SnsMessage, stringToSign } from '../sns-message.ts';
import type { EnvelopeOptions, SnsPublisher } from '../sns-publisher.ts';
import { terminationNotice } from '../termination.ts';

/** A topic of whoever attacks. */
const STRANGER = 'arn:aws:sns:eu-west-1:999999999999:terminations';

/** Makes messages as an attacker does: with SNS's own key where he gets SNS to sign, with keys of his own else. */
export class Forger {
  readonly publisher: SnsPublisher;
  #instances = 0;

  constructor(publisher: SnsPublisher) {
    this.publisher = publisher;
  }

  /** The notice of the termination of another instance each time. */
  termination(): object {
    return terminationNotice(`i-${(++this.#instances).toString(16).padStart(8, '0')}`);
  }

  signed(options: EnvelopeOptions = {}): SnsMessage {
    return this.publisher.envelope(this.termination(), options);
  }

  /** Signed by SNS for a topic of a stranger. */
  ofStranger(options: EnvelopeOptions = {}): SnsMessage {
    return this.signed({ TopicArn: STRANGER, ...options });
  }

  /** Signed with a certificate of its own. @default for SNS */
  async signedBy(options: CertificateOptions): Promise<SnsMessage> {
    const { authority, certificates } = this.publisher;
    const { certificate, key } = await authority.issue({ commonName: 'sns.amazonaws.com', ...options });
    return this.signed({ key, certUrl: certificates.serve(certificate) });
  }

  async weaklySigned(): Promise<SnsMessage> {
    const name = [{ name: 'commonName', value: 'sns.amazonaws.com' }];
    const { cert, private: key } = await generate(name, { keySize: 1024, algorithm: 'sha256' });
    return this.signed({ key, certUrl: this.publisher.certificates.serve(cert) });
  }

  /** Its certificate is whatever this answers. */
  servedBy(answer: string | RequestListener): SnsMessage {
    return this.signed({ certUrl: this.publisher.certificates.serve(answer) });
  }

  /** What SNS signed for a stranger, whose message ends as ours would, read as one of ours: the signed bytes are the same. */
  shifted(): Record<string, string> {
    const TopicArn = this.publisher.topicArn;
    const { Message, MessageId, Timestamp, Type } = this.signed();
    const tail = lines({ MessageId, Timestamp, TopicArn, Type }).trimEnd();
    const theirs = this.ofStranger({ Message: `${Message}\n${tail}` });
    const rest = lines({
      MessageId: theirs.MessageId,
      Timestamp: theirs.Timestamp,
      TopicArn: theirs.TopicArn,
      Type,
    });
    const ours = { Message, MessageId, Timestamp, TopicArn, Type: `${Type}\n${rest.trimEnd()}` };
    if (lines(ours) !== stringToSign(theirs)) throw new Error('the attack is none');
    return { ...theirs, ...ours };
  }
}

function lines(fields: Record<string, string>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}\n${value}\n`)
    .join('');
}
