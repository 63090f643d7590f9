type Attributes = Record<string, string | number | undefined>;

/** Spans of what this process does, in traces that go on in whichever process goes on with the job. */
export interface Tracing {
  /**
   * Does the work within a span, which fails where the work does.
   * @param parent `traceparent` of the span that it belongs to; the one it runs in by default
   */
  span: <T>(name: string, attributes: Attributes, work: () => Promise<T>, parent?: string) => Promise<T>;
  /** Of the span that runs now. Source: https://www.w3.org/TR/trace-context/#traceparent-header */
  traceparent: () => string | undefined;
  /** Sends what is left. */
  close: () => Promise<void>;
}

/** What OTEL_EXPORTER_OTLP_ENDPOINT leaves unset. */
export const NO_TRACING: Tracing = {
  span: (_name, _attributes, work) => work(),
  traceparent: () => undefined,
  close: async () => {},
};
