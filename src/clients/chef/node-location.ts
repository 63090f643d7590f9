import { type AwsLocation, awsLocation, LOCATION_ATTRIBUTES } from '../../domain/aws-location.ts';
import { attribute, type ChefNode } from '../../domain/chef-node.ts';

/** Reads the AWS account and region that a node says it is in. */
export function nodeLocation(node: ChefNode): AwsLocation {
  const { accountId, networkInterfaces, region, zone } = LOCATION_ATTRIBUTES;
  return awsLocation({
    accountId: attribute(node, accountId),
    networkInterfaces: attribute(node, networkInterfaces),
    region: attribute(node, region),
    zone: attribute(node, zone),
  });
}
