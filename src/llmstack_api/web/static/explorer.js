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
  plugins: [onePasteIsEnough, liveRuns, codeSamples, foldedProblems],
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: true,
  queryConfigEnabled: false,
  validatorUrl: null,
});

/** Asks for the token once, though the server takes it in more than one way. */
function onePasteIsEnough() {
  const onlyBearer = (select) => (state, ...rest) =>
    select(state, ...rest)?.filter((definition) => definition.has("bearer"));
  return {
    statePlugins: {
      auth: {
        wrapSelectors: { definitionsToAuthorize: onlyBearer, getDefinitionsByNames: onlyBearer },
      },
    },
  };
}
