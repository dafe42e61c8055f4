/** The panel of one streamed run: its state, its output stitched key by key, and a way to stop it. */

const MOST_SHOWN = 500_000;
const TICK_MS = 100;
const STATES = {
  running: "Running",
  succeeded: "Succeeded",
  failed: "Failed",
  cancelled: "Cancelled",
  interrupted: "Interrupted by a shutdown",
  stopped: "Stopped: the server records the run as cancelled",
  broken: "Cut off: the stream ended without its last line",
};

/** Everything a model wrote enters the page as text, never as markup. */
export class LivePanel {
  #began = performance.now();
  #chunks = 0;
  #keys = new Map();
  #parts;
  #shown = 0;
  #state = "running";
  #stop;
  #timer;

  /** `stop` aborts the request. */
  constructor(stop) {
    this.#stop = stop;
    this.#parts = {
      state: make("span", "live-run__state"),
      figures: make("span", "live-run__figures"),
      stop: make("button", "live-run__stop btn", "Stop"),
      origin: make("p", "live-run__origin"),
      output: make("dl", "live-run__output"),
      errors: make("ul", "live-run__errors"),
    };
    const { state, figures, stop: button, origin, output, errors } = this.#parts;
    state.setAttribute("role", "status");
    button.type = "button";
    button.addEventListener("click", () => this.#stopped());
    const header = make("div", "live-run__header");
    header.append(make("h4", "live-run__title", "Live output"), state, figures, button);
    this.element = make("section", "live-run");
    this.element.setAttribute("aria-label", "Live output");
    this.element.append(header, origin, output, errors);
    this.#timer = setInterval(() => this.#refresh(), TICK_MS);
    this.#refresh();
  }

  /** Shows one line of the stream. */
  show(line) {
    if (line.session && line.run) {
      this.#parts.origin.textContent = `session ${line.session.id} · run ${line.run.id}`;
    } else if (line.done) {
      this.#state = Object.hasOwn(STATES, line.done.status) ? line.done.status : "broken";
      this.#refresh(line.done.usage);
    } else if (line.errors) {
      line.errors.forEach((error) => this.#error(error));
    } else {
      this.#chunks += 1;
      Object.entries(line).forEach(([key, value]) => this.#chunk(key, value));
      this.#refresh();
    }
  }

  /** The stream could not be read on. */
  broken(error) {
    if (this.#state === "running") {
      this.#state = "broken";
      this.#error({ code: "stream", message: error.message });
    }
  }

  /** The stream is over. */
  end() {
    clearInterval(this.#timer);
    if (this.#state === "running") {
      this.#state = "broken";
    }
    if (this.#state === "broken" || this.#state === "stopped") {
      this.#refresh();
    }
    this.#parts.stop.hidden = true;
  }

  /** Ends the run if it is going, and takes the panel off the page. */
  close() {
    if (this.#state === "running") {
      this.#stopped();
    }
    clearInterval(this.#timer);
    this.element.remove();
  }

  #stopped() {
    this.#state = "stopped";
    this.#parts.stop.disabled = true;
    this.#stop();
  }

  #chunk(key, value) {
    const target = this.#target(key);
    if (typeof value === "string") {
      this.#append(target, value);
    } else if (Array.isArray(value)) {
      value.forEach((item) => this.#append(target, `${JSON.stringify(item, null, 2)}\n`));
    } else {
      this.#append(target, JSON.stringify(value, null, 2));
    }
  }

  #append(target, text) {
    const room = MOST_SHOWN - this.#shown;
    if (room <= 0) {
      return;
    }
    const follow = target.scrollHeight - target.scrollTop - target.clientHeight < 24;
    this.#shown += text.length;
    target.append(text.length <= room ? text : `${text.slice(0, room)} … the rest is in the response below`);
    if (follow) {
      target.scrollTop = target.scrollHeight;
    }
  }

  #target(key) {
    let target = this.#keys.get(key);
    if (!target) {
      target = make("dd", "live-run__value");
      target.dataset.key = key;
      this.#keys.set(key, target);
      this.#parts.output.append(make("dt", "live-run__key", key), target);
    }
    return target;
  }

  #error({ code, message, processor }) {
    const item = make("li", "live-run__error", processor ? `${message} (step ${processor})` : message);
    item.prepend(make("strong", "", `${code}: `));
    this.#parts.errors.append(item);
  }

  #refresh(usage) {
    const seconds = (performance.now() - this.#began) / 1000;
    const figures = [`${this.#chunks} ${this.#chunks === 1 ? "chunk" : "chunks"}`, `${seconds.toFixed(1)} s`];
    if (typeof usage?.output_tokens === "number") {
      figures.push(`${usage.output_tokens} tokens`);
    }
    this.element.dataset.state = this.#state;
    this.element.dataset.chunks = this.#chunks;
    setText(this.#parts.state, STATES[this.#state]);
    setText(this.#parts.figures, figures.join(" · "));
  }
}

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** A status that is announced is written only when it changes. */
function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
