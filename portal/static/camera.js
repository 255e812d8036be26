// A photo is taken in the page: the picture of the camera with a frame to fill, and at once, before it is sent, whether it is sharp
// and large enough. The device's own application is one press away, and opens by itself in browsers that give pages no camera.
class Camera {
  static WANTED = { audio: false, video: { facingMode: { ideal: "environment" }, width: { ideal: 4096 }, height: { ideal: 3072 } } };
  static PATIENCE = 5000; // ms for the full picture of the sensor; then what is on the screen is taken
  static QUALITY = 0.92; // of a JPEG of what is on the screen
  static SHOWN = 1024; // px, the longest edge of what was taken, on the screen
  static COMPARED = 512; // px, the longest edge at which sharpness is measured, as the server does (media/photos.py)
  static LEAST_CONTRAST = 96; // grey levels; likewise
  static taken = 0; // on this page

  /** Whether it can be asked for here: over TLS, or on the machine itself. */
  static isThere() {
    return !!navigator.mediaDevices?.getUserMedia && !!document.getElementById("camera")?.showModal;
  }

  /** Every photo that is kept goes to `give`, as a file; `openDevice` opens the device's own application instead. */
  constructor(give, openDevice) {
    this.give = give;
    this.openDevice = openDevice;
    this.dialog = document.getElementById("camera");
    [this.video, this.canvas, this.told] = ["video", "canvas", "[data-told]"].map((part) => this.dialog.querySelector(part));
    this.gone = new AbortController();
    const { signal } = this.gone;
    for (const act of ["take", "use", "again", "device", "close"]) {
      this.dialog.querySelector(`[data-act=${act}]`).addEventListener("click", () => this[act](), { signal });
    }
    this.dialog.addEventListener("close", () => this.end(), { signal });
    this.dialog.addEventListener("cancel", (event) => { // what was taken goes by a choice, not by a slip
      if (this.dialog.dataset.state !== "taken") return;
      event.preventDefault();
      this.again();
    }, { signal });
  }

  async open() {
    this.show("waiting");
    this.dialog.showModal();
    try {
      const stream = await navigator.mediaDevices.getUserMedia(Camera.WANTED);
      if (this.gone.signal.aborted) return Camera.stop(stream);
      this.stream = stream;
      this.video.srcObject = stream;
      await this.video.play();
      this.show("live", "Hint");
    } catch {
      if (!this.gone.signal.aborted) this.show("none", "None");
    }
  }

  static stop(stream) {
    stream?.getTracks().forEach((track) => track.stop());
  }

  end() {
    this.gone.abort();
    Camera.stop(this.stream);
    this.video.srcObject = null;
    this.canvas.width = this.canvas.height = 0; // nothing of the patient stays in the page
  }

  close() {
    this.dialog.close();
  }

  device() {
    this.close();
    this.openDevice();
  }

  /** What can be done now, and which sentences (`data-text-…`) are told. */
  show(state, ...texts) {
    this.dialog.dataset.state = state;
    for (const part of this.dialog.querySelectorAll("[data-in]")) part.hidden = !part.dataset.in.split(" ").includes(state);
    this.told.textContent = texts.map((name) => this.dialog.dataset[`text${name}`]).join(" ");
    this.dialog.querySelector("[data-act]:not([hidden])").focus();
  }

  async take() {
    if (this.isTaking) return;
    this.isTaking = true;
    try {
      const blob = await this.still();
      const picture = await createImageBitmap(blob);
      if (this.gone.signal.aborted) return;
      const [kind] = (blob.type.split("/")[1] || "jpeg").split(";");
      this.photo = new File([blob], `photo-${++Camera.taken}.${kind.replace("jpeg", "jpg")}`, { type: blob.type, lastModified: Date.now() });
      Camera.draw(picture, this.canvas, Camera.SHOWN);
      const advice = this.adviceOn(picture);
      this.show("taken", ...(advice.length ? [...advice, "Again"] : ["Good"]));
    } catch {
      if (!this.gone.signal.aborted) this.show("none", "None");
    } finally {
      this.isTaking = false;
    }
  }

  /** The picture of the sensor where it can be had, else what is on the screen. */
  async still() {
    const [track] = this.stream.getVideoTracks();
    if (window.ImageCapture) {
      const late = new Promise((_, reject) => { setTimeout(reject, Camera.PATIENCE); });
      const whole = await Promise.race([new ImageCapture(track).takePhoto(), late]).catch(() => null);
      if (whole?.size) return whole;
    }
    const { videoWidth: width, videoHeight: height } = this.video;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return new Promise((resolve, reject) => {
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject()), "image/jpeg", Camera.QUALITY);
    });
  }

  use() {
    this.give(this.photo);
    this.show("live", "Used", "Hint");
  }

  again() {
    this.show("live", "Hint");
  }

  /** What the server would say of it, too (domain/photos.py). */
  adviceOn(picture) {
    const advice = [];
    if (Math.min(picture.width, picture.height) < Number(this.dialog.dataset.minEdge)) advice.push("Small");
    if (Camera.sharpnessOf(picture) < Number(this.dialog.dataset.minSharpness)) advice.push("Blurred");
    return advice;
  }

  static draw(picture, canvas, longest) {
    const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
    Object.assign(canvas, { width: Math.max(1, Math.round(picture.width * scale)), height: Math.max(1, Math.round(picture.height * scale)) });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    return context;
  }

  /** The variance of the Laplacian of the grey levels, at one size and one contrast: see `sharpness_of` in media/photos.py. */
  static sharpnessOf(picture) {
    const canvas = document.createElement("canvas");
    const context = Camera.draw(picture, canvas, Camera.COMPARED);
    const { width, height } = canvas;
    if (Math.min(width, height) < 3) return 0;
    const { data } = context.getImageData(0, 0, width, height);
    const grey = Float32Array.from({ length: width * height }, (_, at) => 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]);
    const ordered = grey.slice().sort();
    const [dark, light] = [0.02, 0.98].map((part) => ordered[Math.min(ordered.length - 1, Math.floor(part * ordered.length))]);
    const gain = 255 / Math.max(light - dark, Camera.LEAST_CONTRAST);
    const middle = (dark + light) / 2;
    const even = grey.map((level) => Math.round(Math.min(255, Math.max(0, 127.5 + gain * (level - middle)))));
    let [sum, squares, count] = [0, 0, 0];
    for (let row = 1; row < height - 1; row++) {
      for (let at = row * width + 1; at < (row + 1) * width - 1; at++) {
        const edge = even[at - 1] + even[at + 1] + even[at - width] + even[at + width] - 4 * even[at];
        const bound = Math.min(127, Math.max(-128, edge));
        sum += bound;
        squares += bound * bound;
        count += 1;
      }
    }
    return squares / count - (sum / count) ** 2;
  }
}
