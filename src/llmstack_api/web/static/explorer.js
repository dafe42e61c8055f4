/** The API explorer: Swagger UI with live output of streamed runs and code samples. */

import { codeSamples } from "./code-samples.js";
import { foldedProblems } from "./folded-problems.js";
import { liveRuns } from "./live-run.js";

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function followColorScheme() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

dark.addEventListener("change", followColorScheme);
followColorScheme();

const host = document.querySelector("#explorer");

window.SwaggerUIBundle({
  domNode: host,
  url: host.dataset.document,
  plugins: [plain, liveRuns, codeSamples, foldedProblems],
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: true,
  queryConfigEnabled: false,
  validatorUrl: null,
});

/** Leaves out choices that are none: the one server, and further ways to send the same token. */
function plain() {
  const onlyBearer = (select) => (state, ...rest) =>
    select(state, ...rest)?.filter((definition) => definition.has("bearer"));
  return {
    wrapComponents: { ServersContainer: () => () => null },
    statePlugins: {
      auth: {
        wrapSelectors: { definitionsToAuthorize: onlyBearer, getDefinitionsByNames: onlyBearer },
      },
    },
  };
}
