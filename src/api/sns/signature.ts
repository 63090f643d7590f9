import { createVerify, type X509Certificate } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { compileFunction } from 'node:vm';
import type MessageValidator from 'sns-validator';
import type { SnsEnvelope } from './envelope.ts';

const require = createRequire(import.meta.url);
const file = require.resolve('sns-validator');
const source = readFileSync(file, 'utf8');

/** One for each certificate, as long as that is kept. */
const validators = new WeakMap<X509Certificate, MessageValidator>();

/**
 * Has sns-validator check an envelope's signature with this certificate and no other.
 * @throws Error with sns-validator's own words
 */
export async function checkSignature(envelope: SnsEnvelope, certificate: X509Certificate): Promise<void> {
  let validator = validators.get(certificate);
  if (!validator) {
    validator = validatorWith(certificate);
    validators.set(certificate, validator);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  validator.validate(asSigned(envelope), error => (error ? reject(error) : resolve()));
  await promise;
}

/**
 * A copy of sns-validator that knows this certificate and no other. Its own would fetch it once more, without a limit of
 * time or size, keep it forever under its URL, and read its text again for each message: here `https` reaches no network,
 * and `crypto` has the key at hand. Where the certificate comes from was checked before, so `url` passes it; what is left
 * to sns-validator is the signature.
 */
function validatorWith({ publicKey }: X509Certificate): MessageValidator {
  const https = {
    get(_url: string, answer: (response: Readable) => void) {
      answer(Object.assign(Readable.from([]), { statusCode: 200 }));
      return new EventEmitter();
    },
  };
  const crypto = {
    createVerify(algorithm: string) {
      const verifier = createVerify(algorithm);
      return {
        update: (text: string, encoding: BufferEncoding) => verifier.update(text, encoding),
        verify: (_: string, signature: string, encoding: 'base64') =>
          verifier.verify(publicKey, signature, encoding),
      };
    },
  };
  const url = { parse: () => ({ protocol: 'https:', host: '', path: '.pem' }) };
  const module = { exports: Object };
  const own: Record<string, unknown> = { https, crypto, url };
  compileFunction(source, ['require', 'module'], { filename: file })(
    (name: string) => own[name] ?? require(name),
    module,
  );
  const Validator = module.exports as unknown as typeof MessageValidator;
  return new Validator(/^/);
}

/**
 * sns-validator signs an UnsubscribeConfirmation without its Token, which SNS puts between Timestamp and TopicArn. No
 * field but Message has a line break here, so this is that very text and no other.
 * Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html
 */
function asSigned(envelope: SnsEnvelope): object {
  if (envelope.Type !== 'UnsubscribeConfirmation') return { ...envelope };
  return { ...envelope, Timestamp: `${envelope.Timestamp}\nToken\n${envelope.Token}` };
}
