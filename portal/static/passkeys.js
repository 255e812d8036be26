// A passkey made, or asked: the server says what for, the browser has its owner confirm, and the form goes on with the answer.
(() => {
  if (!window.PublicKeyCredential) return;
  const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
  const toText = (bytes) =>
    btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const named = (those) => (those || []).map((one) => ({ ...one, id: toBytes(one.id) }));

  /** What the browser answers, as the server reads it: every ArrayBuffer as text. */
  function written(credential) {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
      if (credential.response[name]) response[name] = toText(credential.response[name]);
    return JSON.stringify({
      id: credential.id, rawId: toText(credential.rawId), type: credential.type, response, clientExtensionResults: {},
    });
  }

  async function made(options) {
    const user = { ...options.user, id: toBytes(options.user.id) };
    const publicKey = { ...options, user, challenge: toBytes(options.challenge), excludeCredentials: named(options.excludeCredentials) };
    return written(await navigator.credentials.create({ publicKey }));
  }

  async function answered(options) {
    const publicKey = { ...options, challenge: toBytes(options.challenge), allowCredentials: named(options.allowCredentials) };
    return written(await navigator.credentials.get({ publicKey }));
  }

  for (const button of document.querySelectorAll("button[data-passkey]")) {
    const form = button.form;
    const said = form.querySelector("[data-passkey-said]");
    button.hidden = false;
    button.addEventListener("click", async () => {
      button.disabled = true;
      said.textContent = "";
      try {
        if (button.dataset.options) {
          form.elements.passkey.value = await made(JSON.parse(button.dataset.options));
        } else {
          const asked = new URLSearchParams();
          for (const name of ["key", "request_id", "proof", "number", "reason"]) if (form.elements[name]) asked.set(name, form.elements[name].value);
          const answer = await fetch(button.dataset.passkey, {
            method: "POST", headers: { "X-Requested-With": "fetch" }, body: asked,
          });
          if (!answer.ok) throw new Error(String(answer.status));
          form.elements.passkey.value = await answered(await answer.json());
        }
        form.noValidate = true;
        form.requestSubmit(form.querySelector("button:not([type=button])"));
      } catch {
        said.textContent = button.dataset.textFailed;
      } finally {
        button.disabled = false;
      }
    });
  }
})();
