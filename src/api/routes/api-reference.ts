/** As far as openapi.yaml goes. */
export interface Contract {
  info: { title: string; version: string; description: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; responses: Record<string, { description: string }> };
}

interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<
    string,
    { $ref?: string; description?: string; content?: Record<string, { schema: Schema }> }
  >;
}

type Schema = Record<string, unknown>;

/** The contract as a page of HTML without any script. */
export function reference({ info, paths, components }: Contract): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      ...operation,
    })),
  );
  const contents = operations.map(
    ({ name, operationId, summary }) =>
      `<li><a href="#${text(operationId)}"><code>${text(name)}</code></a> ${text(summary)}`,
  );
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) => `<section id="schema-${text(name)}"><h3>${text(name)}</h3>${json(schema)}</section>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference – ${text(info.title)}</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/page/style.css">
</head>
<body>
<header class="bar"><h1>${text(info.title)} <small>API ${text(info.version)}</small></h1><nav><a href="/">Jobs</a> <a href="/openapi.yaml">openapi.yaml</a></nav></header>
<main class="reference">
<p>${text(info.description)}</p>
<ul>${contents.join('\n')}</ul>
${operations.map(operation => section(operation, components.responses)).join('\n')}
<h2>Schemas</h2>
${schemas.join('\n')}
</main>
</body>
</html>
`;
}

function section(
  operation: Operation & { name: string },
  shared: Contract['components']['responses'],
): string {
  const {
    name,
    operationId,
    summary,
    description,
    security,
    parameters = [],
    requestBody,
    responses,
  } = operation;
  const rows = parameters.map(
    ({ name, in: place, required, description, schema }) =>
      `<tr><td><code>${text(name)}</code><td>${text(place)}${required ? ', required' : ''}<td>${text(description ?? '')} ${inline(schema)}`,
  );
  const bodies = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<p>Body, <code>${text(type)}</code>: ${inline(schema)}</p>`,
  );
  const answers = Object.entries(responses).map(([status, { $ref, description, content = {} }]) => {
    const said = description ?? shared[$ref?.split('/').at(-1) ?? '']?.description ?? '';
    const types = Object.entries(content).map(
      ([type, { schema }]) => `<code>${text(type)}</code> ${inline(schema)}`,
    );
    return `<tr><td>${text(status)}<td>${text(said)}<td>${types.join('<br>')}`;
  });
  return `<section id="${text(operationId)}">
<h2><code>${text(name)}</code></h2>
<p>${text(summary)}${security ? ' <small>(needs a token)</small>' : ''}</p>
${description ? `<p>${text(description)}</p>` : ''}
${rows.length > 0 ? table(['Parameter', 'In', ''], rows) : ''}${bodies.join('')}
${table(['Status', 'Meaning', 'Body'], answers)}
</section>`;
}

function table(head: string[], rows: string[]): string {
  const cells = head.map(cell => `<th scope="col">${cell || '<span class="hidden">Description</span>'}`);
  return `<div class="wide" tabindex="0" role="group" aria-label="${text(head[0] ?? '')}"><table><thead><tr>${cells.join('')}<tbody>${rows.join('')}</table></div>`;
}

/** A schema in one line, with links to those that have names. */
function inline(schema: Schema): string {
  const link = (name: string) => `<a href="#schema-${name}">${name}</a>`;
  return `<code>${text(JSON.stringify(schema)).replace(/\{&quot;\$ref&quot;:&quot;#\/components\/schemas\/(\w+)&quot;\}/g, (_, name: string) => link(name))}</code>`;
}

function json(schema: Schema): string {
  return `<pre tabindex="0">${text(JSON.stringify(schema, null, 2))}</pre>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function text(value: string): string {
  return value.replace(/[&<>"]/g, each => ENTITIES[each] ?? '');
}
