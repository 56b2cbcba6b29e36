/** Where the browser begins: styles in the order in which they build on each other, then the shell. */
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/charts.css";
import "./styles/tables.css";
import "./styles/messages.css";
import "./styles/pages.css";
import "./styles/deployments.css";
import { render } from "preact";
import { Shell } from "./shell.tsx";

render(<Shell />, document.getElementById("app")!);
