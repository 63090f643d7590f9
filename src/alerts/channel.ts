import type { Alert } from '../domain/alert.ts';

/** One way to people. */
export interface AlertChannel {
  name: string;
  /**
   * Resolves when it is handed over.
   * @throws AppError `unavailable` or `credentials` where trying again may help, anything else where not
   */
  send(alert: Alert): Promise<void>;
  close(): Promise<void>;
}
