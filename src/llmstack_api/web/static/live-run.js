/** Shows a streamed run as it comes; Swagger UI itself shows an answer only when it has ended. */

import { LivePanel } from "./live-panel.js";

const JSON_LINES = "application/x-ndjson";
const EVENTS = "text/event-stream";

/** Swagger UI plugin: a live panel above the responses of every operation that has streamed. */
export function liveRuns({ React }) {
  const panels = new Map();
  const hosts = new Map();

  function place(key) {
    const panel = panels.get(key);
    const host = hosts.get(key);
    if (panel && host && panel.element.parentNode !== host) {
      host.replaceChildren(panel.element);
    }
  }

  function close(key) {
    panels.get(key)?.close();
    panels.delete(key);
  }

  function open(key, stop) {
    const panel = new LivePanel(stop);
    panels.set(key, panel);
    place(key);
    return panel;
  }

  function HostOfPanel({ id }) {
    const remember = React.useCallback(
      (node) => {
        if (node) {
          hosts.set(id, node);
          place(id);
        } else {
          hosts.delete(id);
        }
      },
      [id],
    );
    return React.createElement("div", { ref: remember });
  }

  return {
    wrapComponents: {
      responses: (Responses) => (props) =>
        React.createElement(
          React.Fragment,
          null,
          React.createElement(HostOfPanel, { id: keyOf(props.path, props.method) }),
          React.createElement(Responses, props),
        ),
      // Swagger UI takes every type with "json" in it for one document.
      responseBody: (ResponseBody) => (props) =>
        React.createElement(ResponseBody, {
          ...props,
          contentType: props.contentType?.startsWith(JSON_LINES) ? "text/plain" : props.contentType,
        }),
    },
    statePlugins: {
      spec: {
        wrapActions: {
          executeRequest: (execute) => (request) => {
            const key = keyOf(request.pathName, request.method);
            close(key);
            return execute({
              ...request,
              userFetch: (url, options) => fetchLive(url, options, (stop) => open(key, stop)),
            });
          },
          clearResponse: (clear) => (path, method) => {
            close(keyOf(path, method));
            return clear(path, method);
          },
        },
      },
    },
  };
}

function keyOf(path, method) {
  return `${method.toLowerCase()} ${path}`;
}

/** Fetches; where the answer is a stream, shows it in a panel while it is passed on. */
async function fetchLive(url, options, open) {
  const aborter = new AbortController();
  const response = await fetch(url, { ...options, signal: aborter.signal });
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  if (!response.body || (type !== JSON_LINES && type !== EVENTS)) {
    return response;
  }
  const panel = open(() => aborter.abort());
  const lines = new LineReader(type === EVENTS);
  const reader = response.body.getReader();
  const passedOn = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        for (const part of lines.read(value)) {
          panel.show(part);
        }
        if (!done) {
          controller.enqueue(value);
          return;
        }
      } catch (error) {
        panel.broken(error);
        reader.cancel().catch(() => {}); // it may have failed already
      }
      panel.end();
      controller.close();
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(passedOn, {
    status: response.status,
    statusText: response.statusText,
    headers: response.headers,
  });
}

/** Turns the bytes of a stream into the JSON objects of its lines. */
class LineReader {
  #decoder = new TextDecoder();
  #events;
  #rest = "";

  constructor(events) {
    this.#events = events;
  }

  /** Returns the objects that are whole by now; without bytes the stream is over. */
  read(bytes) {
    const text = this.#decoder.decode(bytes, { stream: bytes !== undefined });
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    return lines.map((line) => this.#payload(line)).filter(Boolean).map((line) => JSON.parse(line));
  }

  #payload(line) {
    if (!this.#events) {
      return line.trim();
    }
    return line.startsWith("data:") ? line.slice("data:".length).trim() : "";
  }
}
