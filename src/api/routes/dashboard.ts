import { readFileSync } from 'node:fs';
import express, { type RequestHandler, Router } from 'express';

const FILES = new URL('../../dashboard/', import.meta.url).pathname;
const CONTRACT = new URL('../../../openapi.yaml', import.meta.url);

/** Nothing but this service's own files runs, loads or is asked, and nobody frames it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/** `/`, the page for people, and `/docs`: open to everyone, since what the page shows comes from the guarded routes. */
export function pageRoutes(): Router {
  const guard: RequestHandler = (_request, response, next) => {
    response.set('Content-Security-Policy', POLICY);
    next();
  };
  let docs: Promise<string> | undefined;
  return Router()
    .use('/page', guard, express.static(FILES, { index: false, redirect: false, cacheControl: false }))
    .get('/', guard, (_request, response) =>
      response.sendFile('index.html', { root: FILES, cacheControl: false }),
    )
    .get('/docs', guard, async (_request, response) => {
      docs ??= render();
      response.type('text/html').send(await docs);
    });
}

async function render(): Promise<string> {
  const [{ parse }, { reference }] = await Promise.all([import('yaml'), import('./api-reference.ts')]);
  return reference(parse(readFileSync(CONTRACT, 'utf8')));
}
