/** What OpenSSL and Node say of a certificate that nobody vouches for. Source: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const UNTRUSTED: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not known here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    'its authority is not known here, or the server leaves out an intermediate certificate',
  CERT_UNTRUSTED: 'its authority is not trusted',
  CERT_REJECTED: 'its authority is not trusted',
  INVALID_CA: 'what signed it is not an authority',
};

/**
 * What is wrong with a server's certificate, and what to do; undefined for any other error.
 * @param trustAdvice how to trust a certificate: `set CHEF_CA_FILE to …`
 */
export function certificateFault(error: unknown, trustAdvice: string): string | undefined {
  const { code = '', reason } = faultOf(error);
  const why = UNTRUSTED[code];
  if (why) return `its certificate is not trusted, since ${why}: ${trustAdvice}`;
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `its certificate is for another host name (${reason}): use a name of the certificate in the URL, or give the server one for this name`;
    case 'CERT_HAS_EXPIRED':
      return "its certificate has expired: renew it on the server (or set this host's clock right)";
    case 'CERT_NOT_YET_VALID':
      return "its certificate is not valid yet: set this host's clock right (NTP), or the server's when it makes one";
    default:
      return undefined;
  }
}

/** The first cause that has a code of TLS. */
function faultOf(error: unknown): { code?: string; reason?: string } {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') {
      return { code: at.code, reason: 'reason' in at ? String(at.reason).replace(/\.$/, '') : at.message };
    }
  }
  return {};
}
