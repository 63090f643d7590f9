/**
 * Whether a value can name a Chef node or client: the characters Chef itself allows, and nothing that could become
 * more or less than one segment of a URL path or the name of another file.
 * Source: `Chef::Node#name`, `/^[\-[:alnum:]_:.]+$/`; 255 is the Chef server's limit.
 */
export function isNodeName(value: unknown): value is string {
  return typeof value === 'string' && /^[\w.:-]{1,255}$/.test(value) && !/^\.+$/.test(value);
}

/** `i-` and 8 or 17 hex digits. Source: EC2 API reference, InstanceId. */
export function isInstanceId(value: unknown): value is string {
  return typeof value === 'string' && /^i-[0-9a-f]{8}(?:[0-9a-f]{9})?$/.test(value);
}
