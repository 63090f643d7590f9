/** Of AWS's partitions, as the AWS SDK has them; a test compares them. */
const DNS_SUFFIXES = [
  ...['amazonaws.com', 'api.aws'],
  ...['amazonaws.com.cn', 'api.amazonwebservices.com.cn'],
  ...['amazonaws.eu', 'api.amazonwebservices.eu'],
  ...['c2s.ic.gov', 'api.aws.ic.gov'],
  ...['sc2s.sgov.gov', 'api.aws.scloud'],
  ...['cloud.adc-e.uk', 'api.cloud-aws.adc-e.uk'],
  ...['csp.hci.ic.gov', 'api.aws.hci.ic.gov'],
];

/**
 * The region of a queue, which is reached only through that region.
 * @returns undefined if the URL does not tell, for example the URL of an emulator
 */
export function regionOfQueue(queueUrl: string): string | undefined {
  const { hostname } = new URL(queueUrl);
  if (hostname === 'queue.amazonaws.com') return 'us-east-1';
  const suffix = DNS_SUFFIXES.find(each => hostname.endsWith(`.${each}`));
  if (suffix === undefined) return undefined;
  const labels = hostname.slice(0, -suffix.length - 1).split('.');
  const region = regionIn(labels);
  return region !== undefined && isRegion(region) ? region : undefined;
}

/** @param labels of the host name, without those of the partition */
function regionIn(labels: string[]): string | undefined {
  // A VPC endpoint: https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
  if (labels.at(-1) === 'vpce') return isSqs(labels.at(-3)) ? labels.at(-2) : undefined;
  const [first, second, ...others] = labels;
  if (others.length > 0) return undefined;
  if (isSqs(first)) return second;
  // Legacy endpoints: https://docs.aws.amazon.com/general/latest/gr/sqs-service.html
  return second === 'queue' ? first : undefined;
}

function isSqs(label: string | undefined): boolean {
  return label === 'sqs' || label === 'sqs-fips';
}

/** Whether a text has the form of a region's name: `eu-west-1`, `us-gov-east-1`, `eusc-de-east-1`. */
export function isRegion(text: string): boolean {
  return /^[a-z]{2,4}(-[a-z]{2,9}){1,2}-\d{1,2}$/.test(text);
}

export function queueNameOf(queueUrl: string): string {
  return pathOf(queueUrl).at(-1) ?? '';
}

/** The same for every form in which the URL of one queue can be written: region, account and name. */
export function queueIdentity(queueUrl: string): string {
  return [regionOfQueue(queueUrl) ?? '', ...pathOf(queueUrl)].join('/');
}

/** Account and name. */
function pathOf(queueUrl: string): string[] {
  return new URL(queueUrl).pathname.split('/').filter(Boolean).slice(-2);
}
