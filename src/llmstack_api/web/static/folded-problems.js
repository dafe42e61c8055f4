/** Shows what went well of an operation's responses, and each problem as one line until it is opened. */

const FIRST_PROBLEM = 400;

/** Swagger UI plugin. */
export function foldedProblems({ React }) {
  const h = React.createElement;

  function Problem({ Response, ...props }) {
    const [open, setOpen] = React.useState(false);
    if (open) {
      return h(Response, props);
    }
    return h(
      "tr",
      { className: "response" },
      h("td", { className: "response-col_status" }, props.code),
      h(
        "td",
        { className: "response-col_description", colSpan: 2 },
        h(
          "button",
          { type: "button", className: "folded-problem", "aria-expanded": false, onClick: () => setOpen(true) },
          props.response.get("description").replaceAll("`", ""),
        ),
      ),
    );
  }

  return {
    wrapComponents: {
      response: (Response) => (props) =>
        h(Number(props.code) >= FIRST_PROBLEM ? Problem : Response, { ...props, Response }),
    },
  };
}
