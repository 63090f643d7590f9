import { type AwsOptions, callAws, clientConfig } from './connection.ts';

/** A failed look-up is not repeated for this long, so that it does not slow down every question to EC2. */
const RETRY_AFTER_MS = 60_000;
const TIMEOUT_MS = 5_000;

/** Loaded on first use: EC2 itself usually says which account it was asked for. */
const loadSdk = () => import('@aws-sdk/client-sts');

/** Finds the account that our credentials belong to. Needs no permission in IAM. */
export class StsClient {
  readonly #options: AwsOptions;
  #account: Promise<string | undefined> | undefined;
  #notBefore = 0;

  constructor(options: AwsOptions) {
    this.#options = options;
  }

  /**
   * Returns the account, or undefined if STS does not tell it now.
   * @param region whose STS to ask the first time; the account is the same in all regions
   */
  async account(region: string): Promise<string | undefined> {
    if (!this.#account && Date.now() < this.#notBefore) return undefined;
    this.#account ??= this.#ask(region).catch(() => {
      this.#account = undefined;
      this.#notBefore = Date.now() + RETRY_AFTER_MS;
      return undefined;
    });
    return this.#account;
  }

  async #ask(region: string): Promise<string> {
    const { GetCallerIdentityCommand, STSClient } = await loadSdk();
    const client = new STSClient(clientConfig({ ...this.#options, region }));
    try {
      const call = { action: 'sts:GetCallerIdentity', resource: '*', timeoutMs: TIMEOUT_MS };
      const { Account } = await callAws(call, options =>
        client.send(new GetCallerIdentityCommand(), options),
      );
      if (!Account) throw new Error('STS named no account');
      return Account;
    } finally {
      client.destroy();
    }
  }
}
