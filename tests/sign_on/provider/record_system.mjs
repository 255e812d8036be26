// A record system on the loopback for the tests: the certified provider as its authorization server, with SMART's launch context and
// a FHIR endpoint for one type of resource. The configuration comes as JSON in the first argument; the first line that is printed is
// the issuer's address, of which the FHIR server is at /fhir. /open?patient=ID leads to Relais, as the button in a chart does.
import http from "node:http";
import { randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const { client, relais, patients } = JSON.parse(process.argv[2]);
const SCOPES = ["openid", "fhirUser", "launch", "patient/Patient.rs"];

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const fhir = `${issuer}/fhir`;
const launches = new Map(); // what was opened, by launch
const contexts = new Map(); // the patient, by grant

const provider = new Provider(issuer, {
  clients: [client],
  scopes: SCOPES,
  claims: { openid: ["sub"], fhirUser: ["fhirUser"], auth_time: null, sid: null },
  conformIdTokenClaims: false,
  cookies: { keys: ["only for tests"] },
  enabledJWA: { clientAuthSigningAlgValues: ["RS384", "ES384"] },
  extraParams: ["aud", "launch"],
  features: { devInteractions: { enabled: false } },
  findAccount: async (_context, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, fhirUser: `${fhir}/Practitioner/${id}` }),
  }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (context) => {
    const { aud, launch } = context.oidc.params;
    if (aud !== fhir || (launch && !launches.has(launch))) return undefined; // a strange server, or a launch that there was not
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId,
      accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope((launch ? SCOPES : ["openid", "fhirUser"]).join(" "));
    contexts.set(await grant.save(), launches.get(launch));
    launches.delete(launch); // good once
    return grant;
  },
  pkce: { required: () => true },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 300 },
});
provider.use(async (context, next) => {
  await next();
  const grant = context.oidc?.entities?.Grant?.jti;
  if (context.oidc?.route === "token" && context.status === 200) {
    context.body = { ...context.body, patient: contexts.get(grant), need_patient_banner: true };
  }
});
const answer = provider.callback();

async function form(request) {
  let body = "";
  for await (const part of request) body += part;
  return Object.fromEntries(new URLSearchParams(body));
}

function say(response, status, body, type = "application/json") {
  response.writeHead(status, { "content-type": type });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

async function read(request, response, id) {
  const token = await provider.AccessToken.find((request.headers.authorization ?? "").replace(/^Bearer /, ""));
  const mayRead = token?.scope?.split(" ").includes("patient/Patient.rs") && contexts.get(token.grantId) === id;
  if (!mayRead || !patients[id]) return say(response, token ? 403 : 401, { resourceType: "OperationOutcome" });
  return say(response, 200, { resourceType: "Patient", id, ...patients[id] }, "application/fhir+json");
}

server.on("request", async (request, response) => {
  const address = new URL(request.url, issuer);
  try {
    if (address.pathname === "/open") {
      const launch = randomUUID();
      launches.set(launch, address.searchParams.get("patient") ?? undefined);
      response.writeHead(302, { location: `${relais}/launch?${new URLSearchParams({ iss: fhir, launch })}` });
      return response.end();
    }
    if (address.pathname === "/fhir/.well-known/smart-configuration") {
      return say(response, 200, {
        issuer,
        jwks_uri: `${issuer}/jwks`,
        authorization_endpoint: `${issuer}/auth`,
        token_endpoint: `${issuer}/token`,
        token_endpoint_auth_methods_supported: ["private_key_jwt"],
        grant_types_supported: ["authorization_code"],
        scopes_supported: SCOPES,
        response_types_supported: ["code"],
        code_challenge_methods_supported: ["S256"],
        capabilities: ["launch-ehr", "client-confidential-asymmetric", "sso-openid-connect", "context-ehr-patient", "permission-v2"],
      });
    }
    const found = /^\/fhir\/Patient\/([A-Za-z0-9.-]+)$/.exec(address.pathname);
    if (found) return await read(request, response, found[1]);
    if (!address.pathname.startsWith("/interaction/")) return answer(request, response);
    const { prompt } = await provider.interactionDetails(request, response);
    if (request.method === "GET" && prompt.name === "login") {
      return say(response, 200, '<form method="post"><input name="login" autofocus><button>In</button></form>', "text/html");
    }
    const said = request.method === "POST" ? await form(request) : {};
    const result = said.login
      ? { login: { accountId: said.login, amr: ["pwd"], remember: true, ts: Math.floor(Date.now() / 1000) } }
      : { error: "access_denied", error_description: "not today" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } catch (error) {
    say(response, 500, String(error), "text/plain");
  }
});

provider.on("server_error", (_context, error) => console.error(error));
console.log(issuer);
