/** What went wrong: the code, what happened, what to do, and the id under which the server's log has more. */
import { HotSwapConnectionError, HotSwapProblem } from "../../../client/src/index.ts";
import { apiUrl } from "../session.ts";
import { CopyButton } from "./copy.tsx";
import { Icon } from "./icon.tsx";

export function ProblemPanel({ error }: { error: unknown }) {
  if (error === undefined || error === null) return null;
  const { code, detail, help, requestId, errors } = describe(error);
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <div>
        <p class="problem-detail">{detail}</p>
        {errors.length > 0 && (
          <ul>
            {errors.map(({ pointer, message }) => (
              <li key={pointer}>
                <code>{pointer}</code> {message}
              </li>
            ))}
          </ul>
        )}
        {help && <p>{help}</p>}
        <p class="problem-ids">
          <a href={`${apiUrl}/docs/errors#${code}`} target="_blank" rel="noreferrer">
            {code}
          </a>
          {requestId && (
            <span>
              request <code>{requestId}</code>
              <CopyButton text={requestId} label="the request id" />
            </span>
          )}
        </p>
      </div>
    </div>
  );
}

function describe(error: unknown) {
  if (error instanceof HotSwapProblem) return error;
  const nothing = { requestId: undefined, errors: [] };
  if (error instanceof HotSwapConnectionError) {
    const help = "Check that the server runs: hotswap status. This page goes on by itself when it is back.";
    return { ...nothing, code: `connection_${error.failure}`, detail: "The server does not answer.", help };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { ...nothing, code: "console", detail, help: "Please report this as a defect of the console." };
}
