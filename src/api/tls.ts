import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Server } from 'node:https';
import type { Logger } from 'pino';
import { describe } from '../domain/errors.ts';

/** Paths of certificate chain and private key (PEM). */
export interface TlsFiles {
  certFile: string;
  keyFile: string;
}

export interface ReloadingCertificate {
  /** @throws Error where one cannot be read */
  read: () => { cert: string; key: string };
  /** Gives the server what the files hold whenever they change; what it gives back ends that. */
  watch: (server: Server) => () => void;
}

/** By asking for their times, which also sees files that were renamed into place, or are links to others. */
const WATCH_MS = 2_000;

/** Renewed certificates count for new connections without a restart; one that cannot be used leaves the old in place. */
export function reloadingCertificate({ certFile, keyFile }: TlsFiles, log: Logger): ReloadingCertificate {
  const files = [certFile, keyFile];
  const read = () => ({ cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') });
  return {
    read,
    watch(server) {
      const reload = () => {
        try {
          server.setSecureContext(read());
          log.info({ certFile }, 'TLS certificate reloaded');
        } catch (error) {
          log.error(
            { certFile, keyFile, err: describe(error) },
            'new TLS certificate cannot be used, so the old one stays: check that both files belong together',
          );
        }
      };
      for (const file of files) watchFile(file, { interval: WATCH_MS, persistent: false }, reload);
      return () => {
        for (const file of files) unwatchFile(file, reload);
      };
    },
  };
}
