import { createHash, randomBytes } from 'node:crypto';

/** Lets a request in, or says how to ask. */
export interface Gate {
  /** The WWW-Authenticate value to refuse with; undefined lets in. */
  challenge: (method: string, uri: string, authorization: string | undefined) => string | undefined;
  /** Makes every nonce given so far too old. */
  forget: () => void;
}

interface GateOptions {
  auth: string;
  username: string;
  password: string;
}

const realm = 'Nagios Access';

export function basicGate({ username, password }: GateOptions): Gate {
  const right = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  return {
    challenge: (_method, _uri, authorization) =>
      authorization === right ? undefined : `Basic realm="${realm}"`,
    forget: () => {},
  };
}

/** As strict as Apache's mod_auth_digest: qop=auth, the URI as it was asked, and no nonce count used twice. */
export function digestGate({ auth, username, password }: GateOptions): Gate {
  const algorithm = auth === 'digest' ? 'MD5' : 'SHA-256';
  const hash = (text: string) =>
    createHash(algorithm.replace('-', '').toLowerCase()).update(text).digest('hex');
  const used = new Map<string, Set<string>>();
  const refuse = (stale: boolean) => {
    const nonce = randomBytes(16).toString('base64');
    used.set(nonce, new Set());
    return `Digest realm="${realm}", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${stale ? ', stale=true' : ''}`;
  };
  return {
    challenge: (method, uri, authorization) => {
      if (!authorization?.startsWith('Digest ')) return refuse(false);
      const said = (name: string) =>
        new RegExp(`[ ,]${name}=(?:"([^"]*)"|([^", ]*))`).exec(authorization)?.slice(1).find(Boolean) ?? '';
      const counts = used.get(said('nonce'));
      const ha1 = hash(`${username}:${realm}:${password}`);
      const ha2 = hash(`${method}:${said('uri')}`);
      const right = hash(`${ha1}:${said('nonce')}:${said('nc')}:${said('cnonce')}:auth:${ha2}`);
      if (said('username') !== username || said('uri') !== uri || said('response') !== right)
        return refuse(false);
      if (!counts || counts.has(said('nc'))) return refuse(true);
      counts.add(said('nc'));
      return undefined;
    },
    forget: () => used.clear(),
  };
}
