/**
 * Stands in for EC2 in any number of regions, and for what it takes of STS and IAM: the query API of version 2016-11-15,
 * 2011-06-15 and 2010-05-08. It refuses what is unsigned, what lacks a parameter or has one too many, and what the
 * services are known to refuse. An import reads its disk by `object` when it is about to end, and keeps the bytes.
 */
import { Effect } from "effect"
import type { IncomingMessage } from "node:http"
import { Refused } from "./aws-refused.ts"
import type { Action, Cloud } from "./ec2/cloud.ts"
import { iamActions, type Key, type Role, stsActions } from "./ec2/identity.ts"
import { imageActions } from "./ec2/images.ts"
import { importActions } from "./ec2/imports.ts"
import { snapshotActions } from "./ec2/snapshots.ts"
import { type Answer, listen } from "./stand-in.ts"
import { whyUnsigned } from "./sigv4.ts"

export const ec2Key: Key = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "an example's secret" }

export interface Ec2Settings {
  readonly object: Cloud["object"]
  readonly keys?: ReadonlyArray<Key>
  /** That may be taken on. */
  readonly lends?: ReadonlyArray<Role>
  /** Is told of every key that was lent. */
  readonly lent?: (key: Key) => void
}

/**
 * `drop`: hangs up without a look at it. `lose`: does it, and hangs up in place of an answer. `hang`: does it, says so here,
 * and never answers. `wait`: neither does it nor answers.
 */
export type Ec2Fault = "drop" | "lose" | "wait" | { readonly hang: () => void }

export const ec2StandIn = ({ keys = [ec2Key], lends = [], lent = () => {}, object }: Ec2Settings) => Effect.gen(function*() {
  let made = 0
  const cloud: Cloud = {
    tasks: [], snapshots: [], images: [], deregistered: new Set(), tokens: new Map(), roles: new Set(["vmimport"]), object,
    regions: new Map([["eu-central-1", true], ["us-east-1", true], ["eu-west-1", true], ["me-south-1", false]]),
    activeImports: 20, looks: 1, blind: 0, importFaults: [], copyFaults: [],
    newId: (kind) => `${kind}-0${(++made).toString(16).padStart(16, "0")}`
  }
  const known: Array<Key> = [...keys]
  const denied = new Set<string>()
  const faults: Array<{ readonly action: string; readonly refused: Refused }> = []
  const asked: Array<{ readonly region: string; readonly action: string }> = []
  const services: Record<string, { readonly version: string; readonly actions: Readonly<Record<string, Action>>; readonly xmlns: string }> = {
    ec2: { version: "2016-11-15", actions: { ...importActions, ...snapshotActions, ...imageActions }, xmlns: "http://ec2.amazonaws.com/doc/2016-11-15/" },
    sts: { version: "2011-06-15", actions: stsActions(lends, (key) => {
      known.push(key)
      lent(key)
    }), xmlns: "https://sts.amazonaws.com/doc/2011-06-15/" },
    iam: { version: "2010-05-08", actions: iamActions, xmlns: "https://iam.amazonaws.com/doc/2010-05-08/" }
  }

  const signedBy = (request: IncomingMessage, body: Buffer) => {
    const [, id, region = "", service = ""] = /Credential=([^/]+)\/\d{8}\/([^/]+)\/([^/]+)\/aws4_request/.exec(request.headers.authorization ?? "") ?? []
    const key = known.find(({ accessKeyId }) => accessKeyId === id)
    if (id !== undefined && key === undefined) throw new Refused("AuthFailure", "AWS was not able to validate the provided access credentials", 401)
    const why = whyUnsigned(request, body, { ...key ?? known[0]!, region, service })
    if (why !== undefined) throw new Refused(why, "The request signature we calculated does not match the signature you provided.", 403)
    if (key?.sessionToken !== request.headers["x-amz-security-token"]) throw new Refused("AuthFailure", "The session token is missing or of another key", 401)
    if (service === "ec2" && cloud.regions.get(region) !== true) throw new Refused("AuthFailure", `this account has no access to ${region}`, 401)
    return { region, service }
  }

  const act = async (region: string, service: string, { Action: name = "", DryRun, Version, ...given }: Record<string, string>) => {
    const served = services[service]
    const action = served?.actions[name]
    if (served === undefined || action === undefined || Version !== served.version) {
      throw new Refused("InvalidAction", `The action ${name} is not valid for this web service.`)
    }
    const missing = action.needs.find((needed) => given[needed] === undefined)
    if (missing !== undefined) throw new Refused("MissingParameter", `The request must contain the parameter ${missing}`)
    const unknown = Object.keys(given).find((parameter) => !action.takes.test(parameter))
    if (unknown !== undefined) throw new Refused("UnknownParameter", `The parameter ${unknown} is not recognized`)
    if (denied.has(name)) throw new Refused("UnauthorizedOperation", `You are not authorized to perform this operation: ec2:${name}`, 403)
    if (DryRun === "true") throw new Refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
    const fault = faults.findIndex((planned) => planned.action === name)
    if (fault !== -1) throw faults.splice(fault, 1)[0]!.refused
    asked.push({ region, action: name })
    const content = await action.act(cloud, { region, given })
    return `<${name}Response xmlns="${served.xmlns}"><requestId>r-1</requestId>${content}</${name}Response>`
  }

  const answerTo = async (request: IncomingMessage, body: Buffer): Promise<Answer> => {
    let service = "ec2"
    try {
      if (request.method !== "POST" || request.url !== "/") throw new Refused("InvalidAction", `no ${request.method} ${request.url}`)
      const signed = signedBy(request, body)
      service = signed.service
      return { status: 200, headers: xml, body: await act(signed.region, service, Object.fromEntries(new URLSearchParams(body.toString()))) }
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const detail = `<Code>${error.code}</Code><Message>${error.message.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</Message>`
      return {
        status: error.status, headers: xml,
        body: service === "ec2"
          ? `<Response><Errors><Error>${detail}</Error></Errors><RequestID>r-1</RequestID></Response>`
          : `<ErrorResponse xmlns="${services[service]?.xmlns}"><Error><Type>Sender</Type>${detail}</Error><RequestId>r-1</RequestId></ErrorResponse>`
      }
    }
  }

  const hook: { fault: () => Ec2Fault | undefined } = { fault: () => undefined }
  const port = yield* listen(async (request, body) => {
    const fault = hook.fault()
    if (fault === "drop") {
      request.socket.destroy()
      return { status: 500 }
    }
    if (fault === "wait") return new Promise<Answer>(() => {})
    const answered = await answerTo(request, body)
    if (typeof fault === "object") {
      fault.hang()
      return new Promise<Answer>(() => {})
    }
    if (fault === "lose" && answered.status === 200) request.socket.destroy()
    return answered
  })

  return {
    endpoint: `http://127.0.0.1:${port}`,
    cloud,
    /** Asked for every request. */
    hook,
    /** What was asked and not refused, oldest first. */
    asked,
    /** What the keys may not do. */
    denied,
    /** The next request for it that is in order fails with this. */
    failWith: (action: string, code: string, message: string, status = 400) => void faults.push({ action, refused: new Refused(code, message, status) })
  }
})

const xml = { "content-type": "text/xml;charset=UTF-8" }
