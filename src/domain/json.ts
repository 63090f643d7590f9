export type Fields = Record<string, unknown>;

/** Whether a value is a JSON object, and neither null nor an array. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
