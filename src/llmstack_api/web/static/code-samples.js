/** Shows the `x-codeSamples` of an operation above its parameters. */

const EXAMPLE_ORIGIN = /http:\/\/localhost:3000/g;

/** Swagger UI plugin. */
export function codeSamples({ React }) {
  const h = React.createElement;

  function CopyButton({ text }) {
    const [copied, setCopied] = React.useState(false);
    const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true));
    const label = copied ? "Copied" : "Copy";
    return h("button", { type: "button", className: "code-samples__copy", onClick: copy }, label);
  }

  function CodeSamples({ samples }) {
    const [chosen, choose] = React.useState(0);
    const source = samples[chosen].source.replace(EXAMPLE_ORIGIN, window.location.origin);
    const tabs = samples.map(({ label }, index) =>
      h("button", { key: label, type: "button", "aria-pressed": index === chosen, onClick: () => choose(index) }, label),
    );
    return h(
      "details",
      { className: "code-samples" },
      h("summary", null, "Code samples"),
      h(
        "div",
        { className: "code-samples__tabs" },
        ...tabs,
        navigator.clipboard && h(CopyButton, { key: chosen, text: source }),
      ),
      h("pre", null, h("code", null, source)),
    );
  }

  return {
    wrapComponents: {
      parameters: (Parameters) => (props) => {
        const [path, method] = props.pathMethod;
        const samples = props.specSelectors.specJson().getIn(["paths", path, method, "x-codeSamples"]);
        return h(
          React.Fragment,
          null,
          samples && h(CodeSamples, { samples: samples.toJS() }),
          h(Parameters, props),
        );
      },
    },
  };
}
