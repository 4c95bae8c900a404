import type { ServerResponse } from "node:http"

/**
 * The framework ends an answer without a body as soon as its head is written. This one goes on at that moment, and nothing of
 * the request is kept for it: a fiber that waits, with all that it has come through, takes more memory than the connection.
 */
export const takeOver = (response: ServerResponse, goOn: () => void): void => {
  const { end } = response
  response.end = () => {
    // Not deleted: an object that has lost a property takes three times the memory.
    response.end = end
    forgetRequest(response)
    goOn()
    return response
  }
}

const nothing = {}

/** Header lines, a token among them, and the request's fiber, which the framework's listeners hold: they are about bodies and about being left early. */
const forgetRequest = (response: ServerResponse): void => {
  response.req.rawHeaders.length = 0
  response.req.headers = nothing
  response.removeAllListeners("close")
  const [first, ...others] = response.listeners("finish") as Array<() => void>
  if (first !== undefined && others.length > 0) response.off("finish", first)
}
