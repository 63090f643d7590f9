import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, type Span, type SpanContext, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { describe } from '../domain/errors.ts';
import type { Tracing } from './tracing.ts';

/** @param endpoint of an OTLP collector (HTTP, JSON); `/v1/traces` is added, as OpenTelemetry specifies */
export function openOtlpTracing(endpoint: string): Tracing {
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'chef-deregistration-manager' }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1_000 })],
  });
  const tracer = provider.getTracer('chef-deregistration-manager');
  const running = new AsyncLocalStorage<Span>();
  return {
    span(name, attributes, work, parent) {
      const above = parent ? spanContext(parent) : running.getStore()?.spanContext();
      const context = above ? trace.setSpanContext(ROOT_CONTEXT, above) : ROOT_CONTEXT;
      const span = tracer.startSpan(name, { attributes }, context);
      return running.run(span, async () => {
        try {
          return await work();
        } catch (error) {
          span.setStatus({ code: SpanStatusCode.ERROR, message: describe(error) });
          throw error;
        } finally {
          span.end();
        }
      });
    },
    traceparent() {
      const context = running.getStore()?.spanContext();
      return (
        context && `00-${context.traceId}-${context.spanId}-${String(context.traceFlags).padStart(2, '0')}`
      );
    },
    close: () => provider.shutdown(),
  };
}

function spanContext(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent) ?? [];
  return traceId && spanId ? { traceId, spanId, traceFlags: Number(flags), isRemote: true } : undefined;
}
