// A form that saves itself does so also when its page is left. The page that is asked for then may have been made before those last
// words arrived, and shows what stood there before: so it is loaded once more (for the forms of static/draft.js and static/report.js).
// When static/idle.js locks the page, they are saved first; then nothing arrives any more, and nobody is there to be asked.
// Nor is anything saved while static/kept.js brings back what an earlier page kept: it would be saved without those words.
class Leaving {
  static SOON = 5000; // ms from one page to the next
  isUnsaved = false; // something was, when the next page was asked for
  #isLocked = false; // and what is not saved is kept where it can be encrypted
  #form;
  #mark;

  /** Where the last save is remembered until it is answered: it may have arrived. A page made by the version before has no such field. */
  static earlierOf(form) {
    return form.elements.earlier ?? form.appendChild(Object.assign(document.createElement("input"), { type: "hidden", name: "earlier" }));
  }

  /** Whether somebody has written into that field since the page was made: also before its scripts had come. */
  static isTyped(field) {
    if (!field.name) return false;
    if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
    if (!field.matches("select")) return field.matches("textarea, input:not([type=hidden], [type=file])") && field.value !== field.defaultValue;
    const usual = [...field.options].find((option) => option.defaultSelected) || field.options[0];
    return field.value !== (usual?.value ?? "");
  }

  constructor(form, save) {
    this.#form = form;
    document.addEventListener("relais:locks", ({ detail }) => detail.push(save()));
    document.addEventListener("relais:locked", () => { this.#isLocked = !!window.crypto?.subtle; });
    this.#mark = `relais-left ${form.action}`;
    const isShownAgain = "unsaved" in form.dataset; // what was sent and not taken: to load it again would send it again
    try {
      if (!isShownAgain && Date.now() - sessionStorage.getItem(this.#mark) < Leaving.SOON) location.reload();
      sessionStorage.removeItem(this.#mark);
    } catch {
      // This browser keeps nothing: the form saves itself all the same.
    }
  }

  /** Whether what is written is left to this browser: it has it, or is about to show it. */
  get isKept() {
    return this.#isLocked || "comesBack" in this.#form.dataset;
  }

  /** The page goes. */
  gone() {
    if (this.isUnsaved) sessionStorage.setItem(this.#mark, Date.now());
  }
}
