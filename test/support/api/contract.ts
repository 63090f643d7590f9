import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Response } from 'supertest';
import { expect } from 'vitest';
import { parse } from 'yaml';

interface Answer {
  $ref?: string;
  content?: Record<string, { schema: object }>;
}
interface Operation {
  responses: Record<string, Answer>;
}
interface Contract {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Answer> };
}

export const contract: Contract = parse(
  readFileSync(new URL('../../../openapi.yaml', import.meta.url), 'utf8'),
);

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ ...contract, $id: 'contract' });

/** Every operation of the contract: `GET /jobs/{id}`. */
export function documentedRoutes(): string[] {
  return Object.entries(contract.paths)
    .flatMap(([path, operations]) => Object.keys(operations).map(method => `${method.toUpperCase()} ${path}`))
    .sort();
}

/** Fails unless the contract has such an answer to that operation, in that media type and form. */
export function expectDocumented(operation: string, { status, type, body }: Response): void {
  const [method = '', path = ''] = operation.split(' ');
  const responses = contract.paths[path]?.[method.toLowerCase()]?.responses ?? {};
  expect(Object.keys(responses), `answers of ${operation}`).toContain(String(status));
  const named = responses[String(status)]?.$ref?.split('/').at(-1);
  const answer = named ? contract.components.responses[named] : responses[String(status)];
  expect(Object.keys(answer?.content ?? {}), `media types of ${operation} ${status}`).toContain(type);
  const at = named
    ? `#/components/responses/${named}`
    : `#/paths/${pointerPart(path)}/${method.toLowerCase()}/responses/${status}`;
  const validate = ajv.compile({ $ref: `contract${at}/content/${pointerPart(type)}/schema` });
  validate(body);
  expect(validate.errors, `${operation} ${status}: ${JSON.stringify(body)}`).toBeNull();
}

/** As a part of a JSON pointer in a URI (RFC 6901 section 6). */
function pointerPart(part: string): string {
  return encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));
}
