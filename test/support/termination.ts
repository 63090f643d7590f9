/** A made-up instance id, always the same for the same number. */
export function instanceId(number: number): string {
  return `i-0${number.toString(16).padStart(16, '0')}`;
}

/** What Auto Scaling says when an instance of a group has ended. */
export function terminationNotice(instance: string): object {
  return {
    AccountId: '000000000000',
    AutoScalingGroupName: 'web-asg',
    Service: 'AWS Auto Scaling',
    Event: 'autoscaling:EC2_INSTANCE_TERMINATE',
    EC2InstanceId: instance,
    Description: `Terminating EC2 instance: ${instance}`,
    StatusCode: 'InProgress',
    Time: new Date().toISOString(),
  };
}
