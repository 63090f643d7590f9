import type { RequestHandler } from 'express';
import type { Tracing } from '../observability/tracing.ts';
import type { Receive } from './receive.ts';

/** The same `receive`; each message is a span, and the job remembers the trace. */
export function tracedReceive(receive: Receive, { span, traceparent }: Tracing): Receive {
  return delivery =>
    span(`receive ${delivery.source}`, { messageId: delivery.messageId }, () => {
      const trace = traceparent();
      return receive({ ...delivery, ...(trace && { trace }) });
    });
}

/** Each request is a span from its first byte to the end of its answer. */
export function tracedRequests(tracing: Tracing): RequestHandler {
  return (request, response, next) => {
    const answered = new Promise<void>(resolve => response.once('close', resolve));
    void tracing.span(`${request.method} ${request.baseUrl}`, { requestId: request.id }, () => {
      next();
      return answered;
    });
  };
}
