/** Where an instance is, as far as its node says. */
export interface AwsLocation {
  account: string | undefined;
  region: string | undefined;
}

/**
 * The node attributes that Ohai's EC2 plugin sets. Older versions of Ohai have only the availability zone and the network interfaces.
 * Source: https://github.com/chef/ohai/blob/main/lib/ohai/plugins/ec2.rb
 */
export const LOCATION_ATTRIBUTES = {
  accountId: 'ec2.account_id',
  networkInterfaces: 'ec2.network_interfaces_macs',
  region: 'ec2.region',
  zone: 'ec2.placement_availability_zone',
} as const;

/** Their values, which are whatever the host has written. */
export type LocationValues = { [Name in keyof typeof LOCATION_ATTRIBUTES]?: unknown };

/** Reads account and region; each is undefined if the values do not say it, or contradict each other. */
export function awsLocation({ accountId, networkInterfaces, region, zone }: LocationValues): AwsLocation {
  return {
    account: isAwsAccount(accountId) ? accountId : ownerOf(networkInterfaces),
    region: onlyOne([isAwsRegion(region) ? region : undefined, regionOfZone(zone)]),
  };
}

/** Twelve digits. Source: https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html */
export function isAwsAccount(value: unknown): value is string {
  return typeof value === 'string' && /^\d{12}$/.test(value);
}

/** `eu-west-1`, `us-gov-west-1`, `us-isob-east-1`, `eusc-de-east-1`. */
export function isAwsRegion(value: unknown): value is string {
  return typeof value === 'string' && /^[a-z]+(-[a-z]+){1,2}-\d{1,2}$/.test(value);
}

/**
 * Returns the region of a zone: of an availability zone (`eu-west-1a`), a Local Zone (`us-west-2-lax-1a`) or a Wavelength
 * Zone (`us-east-1-wl1-bos-wlz-1`), whose names all begin with the region.
 * Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-availability-zones.html
 */
function regionOfZone(zone: unknown): string | undefined {
  if (typeof zone !== 'string') return undefined;
  const region = /^([a-z]+(?:-[a-z]+){1,2}-\d{1,2})(?:[a-z]|(?:-[a-z0-9]+)+)$/.exec(zone)?.[1];
  return isAwsRegion(region) ? region : undefined;
}

/**
 * Returns the owner that all network interfaces have. A third party, such as a load balancer's account, can own some.
 * Source: `owner-id`, https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
 */
function ownerOf(networkInterfaces: unknown): string | undefined {
  if (typeof networkInterfaces !== 'object' || networkInterfaces === null) return undefined;
  const owners = Object.values(networkInterfaces).map(
    one => (one as { owner_id?: unknown } | null)?.owner_id,
  );
  return owners.every(isAwsAccount) ? onlyOne(owners) : undefined;
}

function onlyOne(values: readonly (string | undefined)[]): string | undefined {
  const different = new Set(values.filter(value => value !== undefined));
  return different.size === 1 ? [...different][0] : undefined;
}
