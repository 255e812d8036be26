// Reads calls as JSON, one a line, and says of each what each library finds: "ok", or why not.
import { createInterface } from "node:readline";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";

const check = (Library, { secret, headers, body }) => {
  try {
    new Library(secret).verify(Buffer.from(body, "base64").toString("utf8"), headers);
    return "ok";
  } catch (error) {
    return error.message;
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  console.log(JSON.stringify({ standardwebhooks: check(Standard, call), svix: check(Svix, call) }));
}
