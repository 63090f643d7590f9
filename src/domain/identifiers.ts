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

/**
 * Whether a value can name a Nagios host, by Nagios's rule and not by Chef's: at most 255 characters, no blank at either
 * end, none of Nagios's default `illegal_object_name_chars`, and nothing that ends a line or a field of an external command.
 * Source: https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/configmain.html
 */
export function isNagiosHostName(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    /^[^`~!$%^&*"|'<>?,()=;\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,255}$/u.test(value) &&
    value.trim() === value
  );
}
