/** What README and docs say is there, is there; and what is there for users, they say. */
import { globSync, readFileSync, existsSync, statSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { Exit, Schema } from "effect"
import { OpenApi } from "effect/http-api"
import { assert, describe, it } from "vitest"
import { parse } from "yaml"
import { ComposeStreamEvent } from "../apps/gateway/api/compose-stream.ts"
import { ArtifactView, ComposeAccepted, ComposeDetails, ComposePage, TestView } from "../apps/gateway/api/compose-views.ts"
import { ProvenanceKeyView, VulnerabilitiesView } from "../apps/gateway/api/evidence-api.ts"
import { DistributionView, PackageView } from "../apps/gateway/api/catalog-api.ts"
import { DepsolveRequest, DepsolveView } from "../apps/gateway/api/depsolve-api.ts"
import { DiscardView, ParkedView, PoolView, WorkerView } from "../apps/gateway/api/operation-api.ts"
import { KilnApi } from "../apps/gateway/api/kiln-api.ts"
import { DeliveryPage, WebhookRequest, WebhookWithSecret } from "../apps/gateway/api/webhooks-api.ts"
import { pages } from "../apps/gateway/methods.ts"
import { exitCodes, exitCodesHelp } from "../apps/operator/command-failed.ts"
import { AuditPage, HistoryPage, ImagePage, UsagePage } from "../apps/gateway/api/history-api.ts"
import { PipelineView } from "../apps/gateway/api/pipelines-api.ts"
import { QuotaView } from "../apps/gateway/api/tenants-api.ts"
import { kiln } from "../apps/operator/command-tree.ts"
import { BlueprintDocument, BlueprintView } from "../apps/gateway/api/blueprints-api.ts"
import { BlueprintCommand, BlueprintEvent } from "../domain/blueprint.ts"
import { BlueprintNameCommand, BlueprintNameEvent } from "../domain/blueprint-name.ts"
import { OperationCommand, OperationEvent } from "../domain/operation.ts"
import { AccountCommand, AccountEvent } from "../domain/account.ts"
import { CredentialsCommand, CredentialsEvent } from "../domain/credential-sets.ts"
import { ComposeRequest } from "../domain/compose-request.ts"
import { ComposeCommand } from "../domain/compose-commands.ts"
import { ComposeEvent } from "../domain/compose-events.ts"
import { PipelineCommand } from "../domain/pipeline-commands.ts"
import { PipelineEvent } from "../domain/pipeline-events.ts"
import { PolicyDocument } from "../domain/policy-document.ts"
import { WebhooksCommand, WebhooksEvent } from "../domain/webhooks.ts"
import { webhookTypes } from "../domain/webhook-settings.ts"
import { WorkReport } from "../domain/work.ts"
import { BuildersFile } from "../infra/builders/builders-file.ts"
import { decode } from "../infra/jetstream/envelope.ts"
import { WorkerFile } from "../infra/worker-file/worker-file.ts"

const root = join(import.meta.dirname, "..")
const read = (path: string) => readFileSync(join(root, path), "utf8")
const documents = ["README.md", "CHANGELOG.md", "DECISIONS.md", ...globSync("docs/**/*.md", { cwd: root })]
const prose = documents.map(read).join("\n")

/** Everything that is not in both. */
const differences = (code: Iterable<string>, documented: Iterable<string>) => {
  const [there, said] = [new Set(code), new Set(documented)]
  return { undocumented: [...there.difference(said)].sort(), unknown: [...said.difference(there)].sort() }
}
const none = { undocumented: [], unknown: [] }
const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([whole, group]) => group ?? whole)
const sources = (...globs: ReadonlyArray<string>) => globSync(globs, { cwd: root }).map(read).join("\n")

/** A heading's anchor, as it is shown on code hosts. */
const anchorsOf = (path: string) =>
  new Set(all(read(path).replace(/^```[^]*?^```$/gm, ""), /^#+ (.+)$/gm)
    .map((heading) => heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-")))

describe("links", () => {
  for (const path of documents) {
    it(`of ${path} lead somewhere`, () => {
      const text = read(path).replace(/^```[^]*?^```$/gm, "").replace(/`[^`\n]*`/g, "")
      const targets = all(text, /\]\(([^)\s]+)\)/g).filter((target) => !/^[a-z]+:/.test(target))
      const broken = targets.filter((target) => {
        const [file = "", anchor] = target.split("#")
        const to = file === "" ? path : normalize(join(dirname(path), file))
        return !existsSync(join(root, to)) || (anchor !== undefined && !anchorsOf(to).has(anchor))
      })
      assert.deepStrictEqual(broken, [])
    })
  }
})

describe("what is typed", () => {
  it("names scripts of package.json", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
    const named = all(prose, /\bnpm (?:run (?:-s )?([\w:-]+)|start\b|test\b)/g).map((name) => name.replace("npm ", ""))
    assert.isAbove(named.length, 20)
    assert.deepStrictEqual(named.filter((name) => scripts[name] === undefined), [])
  })

  it("names commands of kiln, and use.md has all of them", () => {
    const commands = kiln.subcommands.flatMap((group) => group.commands.map(({ name }) => name))
    const typed = all(prose, /npm run (?:-s )?kiln -- ([a-z][a-z-]*)/g)
    assert.deepStrictEqual(differences(commands, [...commands, ...typed]), none)
    assert.deepStrictEqual(differences(commands, all(sectionOf("docs/use.md", "The command line"), /^\| `([a-z][a-z-]*)[ `]/gm)), none)
  })

  it("names benches that there are", () => {
    const there = all(read("test/bench/main.ts"), /^import \{ \w+ \} from "\.\/(\w+)\.ts"/gm).filter((name) => name !== "bench")
    assert.deepStrictEqual(differences(there, all(read("README.md"), /^\| `(\w+)` \|/gm)), none)
    assert.deepStrictEqual(differences(there, all(sectionOf("docs/testing.md", "Benches"), /^\| `(\w+)` \|/gm)), none)
    const typed = all(prose, /npm run bench -- ([a-z ]+)/g).flatMap((names) => names.trim().split(/ +/))
    assert.deepStrictEqual(typed.filter((name) => name !== "all" && !there.includes(name)), [])
  })

  it("names files that there are", () => {
    const named = all(prose, /`((?:apps|domain|projections|infra|test|docs)\/[\w./-]+)`/g)
    assert.deepStrictEqual(named.filter((path) => !existsSync(join(root, path))), [])
  })
})

const sectionOf = (path: string, heading: string) => {
  const [, section] = read(path).split(`\n## ${heading}\n`)
  assert.isDefined(section, `${path} has no section "${heading}"`)
  return section!.split("\n## ")[0]!
}

describe("the command line's exit codes", () => {
  it("are those of use.md, by number and meaning", () => {
    const help = all(exitCodesHelp, /^ +\d+ +.+$/gm).map((line) => line.trim().replace(/ +/, " "))
    const table = all(sectionOf("docs/use.md", "The command line"), /^\| \d+ \| .+ \|$/gm)
      .map((row) => row.slice(2, -2).replace(" | ", " "))
    assert.deepStrictEqual(table, help)
    assert.deepStrictEqual(Object.values(exitCodes).map(String), help.map((line) => line.split(" ")[0]!).filter((code) => code !== "130"))
  })
})

describe("the environment", () => {
  it("is in configuration.md, and nothing else is", () => {
    // Names are read as strings in code and expanded in set-up; what build scripts hand to each other is nobody's business.
    const code = all(sources("apps/**/*.ts", "infra/**/*.ts", "test/{support,bench,infra}/**/*.ts"), /"(KILN_[A-Z_]+)"/g)
    const asked = all(sources("test/{system,domain}/**/*.ts"), /process\.env\["(KILN_[A-Z_]+)"\]/g)
    const setUp = all(sources("infra/setup/*.sh"), /\$\{?(KILN_[A-Z_]+)/g)
    assert.deepStrictEqual(differences([...code, ...asked, ...setUp], all(read("docs/configuration.md"), /\bKILN_[A-Z_]*[A-Z]\b/g)), none)
  })

  it("is called by its right names everywhere", () => {
    const known = new Set(all(read("docs/configuration.md"), /\bKILN_[A-Z_]*[A-Z]\b/g))
    const help = all(sources("apps/standalone/settings.ts", "apps/operator/root.ts"), /\bKILN_[A-Z_]*[A-Z]\b/g)
    assert.deepStrictEqual([...all(prose, /\bKILN_[A-Z_]*[A-Z]\b/g), ...help].filter((name) => !known.has(name)), [])
  })
})

describe("metrics", () => {
  it("are in metrics.md, and nothing else is", () => {
    const code = all(sources("apps/**/*.ts", "infra/**/*.ts"), /Metric\.\w+\(\s*"([^"]+)"/g)
    assert.isAbove(code.length, 10)
    assert.deepStrictEqual(differences(code, all(read("docs/metrics.md"), /`(kiln_[a-z_]+)/g)), none)
  })
})

describe("events.md", () => {
  const text = read("docs/events.md")

  it("has every event and every command", () => {
    const tags = (heading: string) => all(sectionOf("docs/events.md", heading), /^\| `(\w+)` \|/gm)
    assert.deepStrictEqual(differences(Object.keys(ComposeEvent.cases), tags("Events of a compose")), none)
    assert.deepStrictEqual(differences(Object.keys(ComposeCommand.cases), tags("Commands")), none)
    assert.deepStrictEqual(differences(Object.keys(AccountEvent.cases), tags("Events of an account")), none)
    assert.deepStrictEqual(differences(Object.keys(AccountCommand.cases), tags("Commands on an account")), none)
    assert.deepStrictEqual(differences(Object.keys(CredentialsEvent.cases), tags("Events of credentials")), none)
    assert.deepStrictEqual(differences(Object.keys(CredentialsCommand.cases), tags("Commands on credentials")), none)
    assert.deepStrictEqual(differences(Object.keys(WebhooksEvent.cases), tags("Events of webhooks")), none)
    assert.deepStrictEqual(differences(Object.keys(WebhooksCommand.cases), tags("Commands on webhooks")), none)
    assert.deepStrictEqual(differences(Object.keys(BlueprintEvent.cases), tags("Events of a blueprint")), none)
    assert.deepStrictEqual(differences(Object.keys(BlueprintCommand.cases), tags("Commands on a blueprint")), none)
    assert.deepStrictEqual(differences(Object.keys(BlueprintNameEvent.cases), tags("Events of a blueprint's name")), none)
    assert.deepStrictEqual(differences(Object.keys(BlueprintNameCommand.cases), tags("Commands on a blueprint's name")), none)
    assert.deepStrictEqual(differences(Object.keys(OperationEvent.cases), tags("Events of an operation")), none)
    assert.deepStrictEqual(differences(Object.keys(OperationCommand.cases), tags("Commands on an operation")), none)
    assert.deepStrictEqual(differences(Object.keys(PipelineEvent.cases), tags("Events of a pipeline")), none)
    assert.deepStrictEqual(differences(Object.keys(PipelineCommand.cases), tags("Commands on a pipeline")), none)
  })

  it("has every report, stream and bucket", () => {
    const stores = [
      ...all(read("infra/jetstream/streams.ts"), /name: "([A-Z]+)"/g),
      ...all(sources("infra/jetstream/*.ts"), /new (?:Kvm|Objm)\(\w+\)\.create\("(\w+)"/g)
    ]
    assert.isAbove(stores.length, 8)
    const names = [...Object.keys(WorkReport.cases), ...stores]
    assert.deepStrictEqual(names.filter((name) => !text.includes(`\`${name}\``)), [])
  })

  it("shows an envelope that can be read", () => {
    const [, subject, json] = /<!-- Envelope (\S+) -->\n```json\n([^]*?)```/.exec(text) ?? []
    const entry = decode(subject!, { stream: "EVENTS", sequence: 1 }, json!)
    assert.strictEqual(entry._tag, "Recorded", JSON.stringify(entry))
  })
})

describe("api.md", () => {
  const text = read("docs/api.md")
  const spec = OpenApi.fromApi(KilnApi)

  it("has every route, and no other", () => {
    const routes = Object.entries(spec.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    assert.deepStrictEqual(differences(routes, all(sectionOf("docs/api.md", "Routes"), /^\| `((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`/gm)), none)
    assert.deepStrictEqual(pages.filter((page) => !text.includes(`\`${page}\``)), [])
  })

  it("has every problem, and no other", () => {
    const problems = all(read("apps/gateway/api/problems.ts"), /type\("([a-z-]+)"\)/g).map((name) => `urn:kiln:problem:${name}`)
    assert.deepStrictEqual(differences(problems, all(text, /`(urn:kiln:problem:[a-z-]+)`/g)), none)
  })

  it("has every event of the stream", () => {
    const events = all(read("apps/gateway/api/compose-stream.ts"), /eventOf\("(\w+)"/g)
    assert.deepStrictEqual(differences(events, all(sectionOf("docs/api.md", "Events of a compose"), /^\| `(\w+)` \|/gm)), none)
  })

  for (const [heading, path] of Object.entries({ List: "/composes", Logs: "/composes/{id}/logs", Catalog: "/packages" })) {
    it(`has every parameter of ${path}`, () => {
      const parameters = (spec.paths[`/api/kiln/v1${path}`]!.get!.parameters ?? []).filter((parameter) => parameter.in === "query")
      const said = sectionOf("docs/api.md", heading)
      assert.isAbove(parameters.length, 0)
      assert.deepStrictEqual(parameters.filter(({ name }) => !new RegExp(`[\`?&]${name}[\`=]`).test(said)), [])
    })
  }

  it("shows events as they are", () => {
    const shown = [...sectionOf("docs/api.md", "Events of a compose").matchAll(/^event: (\w+)\ndata: (.+)$/gm)]
    assert.isAbove(shown.length, 2)
    for (const [, event, data] of shown) {
      const decoded = Schema.decodeUnknownExit(ComposeStreamEvent, { onExcessProperty: "error" })({ event, data })
      assert.isTrue(Exit.isSuccess(decoded), String(decoded))
    }
  })
})

describe("webhooks.md", () => {
  it("has every type of event", () => {
    assert.deepStrictEqual(differences(webhookTypes, all(sectionOf("docs/webhooks.md", "What you get"), /^\| `(kiln\.[a-z.]+)` \|/gm)), none)
  })
})

describe("use.md", () => {
  it("has every field of a request", () => {
    const spec = OpenApi.fromApi(KilnApi)
    const fields = fieldsOf(spec, spec.paths["/api/kiln/v1/composes"]!.post!.requestBody!)
    assert.isAbove(fields.size, 30)
    const said = sectionOf("docs/use.md", "Every field of a request")
    assert.deepStrictEqual([...fields].filter((name) => !new RegExp(`\`(?:[\\w[\\].]+\\.)?${name}\``).test(said)), [])
  })
})

/** Names of the properties of a JSON schema and of all that it refers to. */
const fieldsOf = (spec: unknown, start: unknown): ReadonlySet<string> => {
  const [names, seen] = [new Set<string>(), new Set<unknown>()]
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null || seen.has(node)) return
    seen.add(node)
    const { $ref, properties } = node as { readonly $ref?: string; readonly properties?: object }
    if (properties !== undefined) for (const name of Object.keys(properties)) names.add(name)
    if ($ref !== undefined) visit($ref.slice(2).split("/").reduce((at, key) => (at as Record<string, unknown>)[key], spec))
    for (const value of Object.values(node)) visit(value)
  }
  visit(start)
  return names
}

const CloudEvent = Schema.Struct({
  specversion: Schema.Literal("1.0"), id: Schema.String, source: Schema.String, type: Schema.Literals(webhookTypes), subject: Schema.String, time: Schema.String,
  datacontenttype: Schema.String, kilnposition: Schema.String, data: Schema.Unknown
})

describe("examples", () => {
  const schemas: Record<string, Schema.Codec<unknown, unknown>> = {
    ComposeRequest,
    ComposeAccepted,
    ComposePage,
    ComposeDetails,
    TestView,
    Artifacts: Schema.Array(ArtifactView),
    Distributions: Schema.Array(DistributionView),
    Packages: Schema.Array(PackageView),
    DepsolveRequest,
    Depsolve: DepsolveView,
    Quota: QuotaView,
    HistoryPage,
    ImagePage,
    Usage: UsagePage,
    AuditPage,
    Policy: PolicyDocument,
    Pipeline: PipelineView,
    Workers: Schema.Array(WorkerView),
    Discard: DiscardView,
    Pools: Schema.Array(PoolView),
    Parked: Schema.Array(ParkedView),
    BlueprintDocument,
    Blueprint: BlueprintView,
    ProvenanceKey: ProvenanceKeyView,
    Vulnerabilities: VulnerabilitiesView,
    WebhookRequest,
    WebhookWithSecret,
    DeliveryPage,
    CloudEvent,
    WorkReport
  }
  const holds = (schema: Schema.Codec<unknown, unknown>, value: unknown) => {
    const decoded = Schema.decodeUnknownExit(schema, { onExcessProperty: "error", errors: "all" })(value)
    assert.isTrue(Exit.isSuccess(decoded), String(decoded))
  }

  for (const path of globSync("docs/examples/*", { cwd: root })) {
    const schema = path.endsWith("/worker.yaml") ? WorkerFile : path.endsWith("/builders.yaml") ? BuildersFile : ComposeRequest
    it(`${path} is what it shows`, () => holds(schema, parse(read(path))))
  }

  it("of the documents are what they are said to be", () => {
    const marked = documents.flatMap((path) => [...read(path).matchAll(/<!-- (\w+) -->\n```json\n([^]*?)```/g)])
    assert.isAbove(marked.length, 7)
    for (const [, name, json] of marked) {
      assert.property(schemas, name!)
      holds(schemas[name!]!, JSON.parse(json!))
    }
  })

  it("of JSON are JSON", () => {
    for (const json of all(prose, /^```json\n([^]*?)^```/gm)) JSON.parse(json)
  })
})

describe("the documents' form", () => {
  it("keeps the README short", () => assert.isBelow(read("README.md").split("\n").length, 150))

  it("spells canceled with one l", () => assert.deepStrictEqual(all(prose, /cancell(?:ed|ing)/gi), []))

  it("numbers decisions from 1 on, fifteen lines each at most", () => {
    const entries = read("DECISIONS.md").split(/^## /m).slice(1)
    assert.deepStrictEqual(entries.map((entry) => Number.parseInt(entry, 10)), entries.map((_, at) => at + 1))
    assert.deepStrictEqual(entries.filter((entry) => entry.trim().split("\n").length > 15), [])
  })

  it("has a license", () => assert.isAbove(statSync(join(root, "LICENSE")).size, 10_000))
})
