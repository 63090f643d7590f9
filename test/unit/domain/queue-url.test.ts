import { SQSClient } from '@aws-sdk/client-sqs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRegion, queueIdentity, queueNameOf, regionOfQueue } from '../../../src/domain/queue-url.ts';

describe('the region of a queue URL', () => {
  test.each([
    ['https://sqs.eu-west-1.amazonaws.com/1/q', 'eu-west-1'],
    ['https://sqs.ap-southeast-7.amazonaws.com/1/q', 'ap-southeast-7'],
    ['https://sqs-fips.us-gov-west-1.amazonaws.com/1/q', 'us-gov-west-1'],
    ['https://sqs.us-east-2.api.aws/1/q', 'us-east-2'],
    ['https://sqs.cn-north-1.amazonaws.com.cn/1/q', 'cn-north-1'],
    ['https://sqs.eusc-de-east-1.amazonaws.eu/1/q', 'eusc-de-east-1'],
    ['https://sqs.us-iso-east-1.c2s.ic.gov/1/q', 'us-iso-east-1'],
    ['https://sqs.us-isob-east-1.sc2s.sgov.gov/1/q', 'us-isob-east-1'],
    ['https://queue.amazonaws.com/1/q', 'us-east-1'],
    ['https://eu-west-1.queue.amazonaws.com/1/q', 'eu-west-1'],
    ['https://cn-north-1.queue.amazonaws.com.cn/1/q', 'cn-north-1'],
    ['https://vpce-0a1b-2c3d.sqs.eu-central-1.vpce.amazonaws.com/1/q', 'eu-central-1'],
    ['https://vpce-0a1b-2c3d-eu-central-1a.sqs.eu-central-1.vpce.amazonaws.com/1/q', 'eu-central-1'],
    ['https://vpce-0a1b-2c3d.sqs-fips.us-east-1.vpce.amazonaws.com/1/q', 'us-east-1'],
    ['https://vpce-0a1b-2c3d.sqs.cn-north-1.vpce.amazonaws.com.cn/1/q', 'cn-north-1'],
    ['HTTPS://SQS.EU-WEST-1.AMAZONAWS.COM:443/1/q', 'eu-west-1'],
  ])('%s is in %s', (url, region) => {
    expect(regionOfQueue(url)).toBe(region);
  });

  test.each([
    'http://127.0.0.1:4566/1/q',
    'http://sqs.eu-west-1.localhost:4566/1/q',
    'https://sqs.eu-west-1.amazonaws.com.example.com/1/q',
    'https://sqs.eu-west-1.notamazonaws.com/1/q',
    'https://sqs.x.amazonaws.com/1/q',
    'https://sqs.amazonaws.com/1/q',
    'https://vpce-0a1b.ec2.eu-central-1.vpce.amazonaws.com/1/q',
    'https://a.sqs.eu-west-1.amazonaws.com/1/q',
  ])('%s tells none', url => {
    expect(regionOfQueue(url)).toBeUndefined();
  });

  test.each([
    ...['us-east-1', 'eu-west-1', 'ap-northeast-3', 'mx-central-1', 'il-central-1', 'us-gov-east-1'],
    ...['cn-northwest-1', 'eusc-de-east-1', 'us-iso-west-1', 'us-isob-east-1', 'eu-isoe-west-1'],
    'us-isof-south-1',
  ])('is read from every endpoint that the AWS SDK has for %s', Region => {
    const sqs = new SQSClient({ region: Region });
    for (const UseFIPS of [false, true]) {
      for (const UseDualStack of [false, true]) {
        const { url } = sqs.config.endpointProvider({ Region, UseFIPS, UseDualStack });
        expect(regionOfQueue(`${url.href}123456789012/q`), url.href).toBe(Region);
      }
    }
    sqs.destroy();
  });

  test('is a region or nothing for any host name', () => {
    fc.assert(
      fc.property(fc.domain(), host => {
        const region = regionOfQueue(`https://${host}/1/q`);
        expect(region === undefined || isRegion(region)).toBe(true);
      }),
    );
  });
});

test('one queue has one identity, however its URL is written', () => {
  const forms = [
    'https://sqs.us-east-1.amazonaws.com/123456789012/q',
    'https://queue.amazonaws.com/123456789012/q',
    'https://sqs-fips.us-east-1.amazonaws.com/123456789012/q/',
    'https://sqs.us-east-1.api.aws/123456789012/q',
    'https://vpce-0a1b-2c3d.sqs.us-east-1.vpce.amazonaws.com/123456789012/q',
  ];
  expect(new Set(forms.map(queueIdentity)).size).toBe(1);
  expect(new Set(forms.map(queueNameOf))).toEqual(new Set(['q']));
});

test('queues of another region, account or name have another identity', () => {
  const others = [
    'https://sqs.us-east-1.amazonaws.com/123456789012/q',
    'https://sqs.us-east-2.amazonaws.com/123456789012/q',
    'https://sqs.us-east-1.amazonaws.com/210987654321/q',
    'https://sqs.us-east-1.amazonaws.com/123456789012/r',
    'http://127.0.0.1:4566/123456789012/q',
  ];
  expect(new Set(others.map(queueIdentity)).size).toBe(others.length);
});
