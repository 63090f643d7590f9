import type { Express } from 'express';

/** Express's router, as far as its routes are looked at. */
interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

/** Every route of an application in the words of OpenAPI: `GET /jobs/{id}`. */
export function routesOf(app: Express): string[] {
  return (app.router as unknown as { stack: Layer[] }).stack.flatMap(routes).sort();
}

function routes({ route, handle }: Layer): string[] {
  if (!route) return (handle?.stack ?? []).flatMap(routes);
  return [route.path]
    .flat()
    .flatMap(path =>
      Object.keys(route.methods).map(
        method => `${method.toUpperCase()} ${path.replace(/:(\w+)/g, (_, name) => `{${name}}`)}`,
      ),
    );
}
