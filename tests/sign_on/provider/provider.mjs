// A certified OpenID provider on the loopback, for the tests: who signs in is said by a form, with how well they prove it.
// The configuration comes as JSON in the first argument; the first line that is printed is the issuer's address.
import http from "node:http";
import Provider from "oidc-provider";

const { client, acrValues } = JSON.parse(process.argv[2]);

const server = http.createServer();
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [client],
  acrValues,
  claims: { openid: ["sub"], email: ["email", "email_verified"], acr: null, auth_time: null, sid: null },
  conformIdTokenClaims: false,
  cookies: { keys: ["only for tests"] },
  features: {
    backchannelLogout: { enabled: true },
    claimsParameter: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: { enabled: true },
  },
  fetch: (address, { dispatcher, ...options }) => globalThis.fetch(address, options), // its dispatcher refuses the loopback
  findAccount: async (_context, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, email: `${id}@network.invalid`, email_verified: true }),
  }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  loadExistingGrant: async (context) => {
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId,
      accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 300 },
});
const answer = provider.callback();

async function form(request) {
  let body = "";
  for await (const part of request) body += part;
  return Object.fromEntries(new URLSearchParams(body));
}

server.on("request", async (request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  try {
    const { prompt } = await provider.interactionDetails(request, response);
    if (request.method === "GET") {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ prompt: prompt.name, reasons: prompt.reasons }));
      return;
    }
    const said = await form(request);
    const result = said.login
      ? { login: { accountId: said.login, acr: said.acr, amr: ["pwd"], remember: true, ts: Math.floor(Date.now() / 1000) } }
      : { error: "access_denied", error_description: "not today" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
});

provider.on("server_error", (_context, error) => console.error(error));
console.log(issuer);
