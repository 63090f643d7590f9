import { describe, expect, test } from 'vitest';
import { EventSources } from '../../../src/domain/places.ts';

const TOPIC = 'arn:aws:sns:eu-west-1:123456789012:notices';
const QUEUE = 'https://sqs.us-east-1.amazonaws.com/123456789012/notices';

test('a topic or queue has the writers for which it was added', () => {
  const places = new EventSources();
  places.addTopic(TOPIC, 'aws');
  places.addTopic(`${TOPIC}-2`, 'hosts');
  places.addQueue(QUEUE, 'aws');
  places.addQueue(`${QUEUE}-2`, 'hosts');
  expect([places.ofTopic(TOPIC), places.ofTopic(`${TOPIC}-2`)]).toEqual(['aws', 'hosts']);
  expect([places.ofQueue(QUEUE), places.ofQueue(`${QUEUE}-2`)]).toEqual(['aws', 'hosts']);
  expect([...places.queues]).toEqual([QUEUE, `${QUEUE}-2`]);
  expect(places.topics.has(TOPIC)).toBe(true);
  expect(places.topics.has(`${TOPIC}-3`)).toBe(false);
});

describe('what is listed as both counts as the hosts’, in whichever order it is listed', () => {
  test.each([
    ['aws', 'hosts'],
    ['hosts', 'aws'],
  ] as const)('%s, then %s', (first, second) => {
    const places = new EventSources();
    places.addTopic(TOPIC, first);
    places.addTopic(TOPIC, second);
    places.addQueue(QUEUE, first);
    // The same queue, by its legacy URL.
    places.addQueue('https://queue.amazonaws.com/123456789012/notices', second);
    expect(places.ofTopic(TOPIC)).toBe('hosts');
    expect(places.ofQueue(QUEUE)).toBe('hosts');
  });
});

test('the pair to which hosts publish is theirs before it is provisioned, and even if it is listed as one of AWS’s', () => {
  const places = new EventSources('queue-prod');
  const topic = 'arn:aws:sns:eu-west-1:123456789012:queue-prod';
  const queue = 'https://sqs.eu-west-1.amazonaws.com/123456789012/queue-prod';
  places.addTopic(topic, 'aws');
  places.addTopic(`${topic}-aws`, 'aws');
  places.addQueue(queue, 'aws');
  places.addQueue(`${queue}-aws`, 'aws');
  expect([places.ofTopic(topic), places.ofQueue(queue)]).toEqual(['hosts', 'hosts']);
  expect([places.ofTopic(`${topic}-aws`), places.ofQueue(`${queue}-aws`)]).toEqual(['aws', 'aws']);
});

test('an unknown topic or queue is not taken to be written by AWS only', () => {
  const places = new EventSources();
  expect([places.ofTopic(TOPIC), places.ofQueue(QUEUE)]).toEqual(['hosts', 'hosts']);
});
