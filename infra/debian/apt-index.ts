/** A private apt state for each distribution, architecture and set of mirrors; this machine's own is never touched. */
import { mkdir, readFile, readlink, rename, utimes, writeFile } from "node:fs/promises"
import { createHash, randomUUID } from "node:crypto"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Effect, Semaphore } from "effect"
import type { Repository } from "../../domain/customizations.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { acquireSettings } from "./apt-output.ts"
import { withoutSlash, type DebianConfig } from "./config.ts"
import type { Archive, Release } from "./distributions.ts"
import { diskFailure, excerptOf } from "./failures.ts"
import { machineMirrors } from "./machine-mirrors.ts"
import { run, type Command, type Ran } from "../process/run.ts"
import { limitsOf } from "../sandbox/limits.ts"
import { confined, type View } from "../sandbox/sandbox.ts"
import { checkHosts } from "./public-hosts.ts"
import { pinsOf, repositoryFailure, repositoryUri, sourceLine, withoutRedirects } from "./repositories.ts"
import { scriptPath } from "./scripts.ts"
import { ownStates, tidyOwnStates } from "./own-states.ts"

export interface IndexSource {
  readonly uri: string
  readonly suite: string
  /** Digest of the source's signed Release file. */
  readonly revision: string
  /** When it was made, as it says itself. */
  readonly date?: string
}

/** One revision of an index. Never changes, and stays for a day after it was replaced. */
export interface AptIndex {
  readonly dir: string
  readonly revision: string
  readonly sources: ReadonlyArray<IndexSource>
  /** Environment and arguments that make an apt program use it. */
  readonly env: Readonly<Record<string, string>>
  readonly options: ReadonlyArray<string>
  /** What apt has to see in a sandbox; there where strangers had a hand in the lists. */
  readonly foreign?: View
}

const defaultUpdateMs = 10 * 60_000
const retryMs = 60_000
const mostStates = 100

export const digestOf = (text: string | Buffer) => createHash("sha256").update(text).digest("hex")

/** A file that readers see whole or not at all. */
export const writeAtomically = async (path: string, text: string) => {
  const part = `${path}.${randomUUID()}.part`
  await writeFile(part, text)
  await rename(part, path)
}

/** apt takes its parsed index for stale when its files are new, be they the same. */
const writeChanged = async (path: string, text: string) => {
  if ((await readFile(path, "utf8").catch(() => undefined)) !== text) await writeAtomically(path, text)
}

const aptConf = (state: string, architecture: string, acquire: string) =>
  `${privateApt(state, architecture)}Dir::Cache::archives "${state}/empty"; Dir::Cache::srcpkgcache "";
Acquire::Retries "2"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20"; Acquire::GzipIndexes "false";
${acquire}
`

/** apt with nothing of its machine; `dir` is a folder of its own, with an empty `none` in it. */
export const privateApt = (dir: string, architecture: string) =>
  `APT::Architecture "${architecture}"; APT::Architectures "${architecture}";
Dir "/"; Dir::Etc "${dir}/none"; Dir::Etc::sourcelist "${dir}/sources.list"; Dir::Etc::main "${dir}/none/apt.conf";
Dir::Etc::sourceparts "${dir}/none"; Dir::Etc::parts "${dir}/none";
Dir::Etc::preferencesparts "${dir}/none"; Dir::Etc::trustedparts "${dir}/none";
Dir::State "${dir}"; Dir::State::status "${dir}/status"; Dir::Cache "${dir}"; Dir::Log "${dir}";
Acquire::Languages "none"; Acquire::ForceHash "sha256";
APT::Install-Recommends "false"; APT::Sandbox::User "root"; Debug::NoLocking "true";
`

/** apt's settings of this machine that say how mirrors are reached. */
export const machineAcquire = Effect.map(run({ argv: ["apt-config", "dump"], collect: true }), ({ stdout }) => stdout)

export interface AptIndexes {
  /** `repositories` are a tenant's own: an index with them is apart, and begins with what the others' has fetched. */
  get(
    release: Release,
    architecture: string,
    report?: Report,
    repositories?: ReadonlyArray<Repository>
  ): Effect.Effect<AptIndex, BuildFailed>
  /** Runs a program of apt on an index. */
  ask(index: AptIndex, argv: readonly [string, ...ReadonlyArray<string>]): Effect.Effect<Ran, BuildFailed>
}

/** One a process. Processes that share a cache take turns by a lock in the file system. */
export const aptIndexes = (config: DebianConfig): AptIndexes => {
  const limits = config.limits ?? limitsOf({})
  const states = new Map<
    string,
    { readonly turn: Semaphore.Semaphore; askAgainAt: number; dir?: string; known?: AptIndex }
  >()
  let fromMachine: Partial<Record<Archive, string>> | undefined

  const sourcesOf = Effect.fnUntraced(function*(release: Release) {
    const missing = release.sources.some(({ archive }) => config.mirrors?.[archive] === undefined)
    if (missing && fromMachine === undefined) fromMachine = yield* machineMirrors()
    const sources: Array<{ uri: string; suite: string }> = []
    for (const { archive, suite } of release.sources) {
      const uri = config.mirrors?.[archive] ?? fromMachine?.[archive]
      if (uri === undefined || !/^(https?|file|copy):\/[^\s[\]]+$/.test(uri)) {
        return yield* new BuildFailed({
          class: "platform",
          message: `no usable ${archive} mirror for ${release.id}: set ${archiveVariable[archive]}`
        })
      }
      sources.push({ uri: withoutSlash(uri), suite })
    }
    return sources
  })

  const prepare = Effect.fnUntraced(function*(
    release: Release,
    architecture: string,
    repositories: ReadonlyArray<Repository>
  ) {
    const mirrors = yield* sourcesOf(release)
    if (!existsSync(release.keyring)) {
      return yield* new BuildFailed({
        class: "platform",
        message: `${release.name} needs ${release.keyring}, which is not on this machine`
      })
    }
    const list = mirrors
      .map(({ suite, uri }) => `deb [signed-by=${release.keyring}] ${uri} ${suite} ${release.components}\n`)
      .join("")
    const own = repositories.length > 0
    const dir = own
      ? join(config.cacheDir, "apt", ownStates, digestOf(JSON.stringify([architecture, list, repositories])).slice(0, 32))
      : join(config.cacheDir, "apt", `${release.id}-${architecture}-${digestOf(list).slice(0, 12)}`)
    const keyOf = ({ id }: Repository) => join(dir, "keys", `${id}.asc`)
    const conf = aptConf(dir, architecture, acquireSettings(yield* machineAcquire)) +
      (own ? `Dir::Etc::preferences "${dir}/preferences";\n${withoutRedirects(repositories)}` : "")
    yield* Effect.tryPromise({
      try: async () => {
        await mkdir(join(dir, "none"), { recursive: true })
        await mkdir(join(dir, "empty", "partial"), { recursive: true })
        await writeChanged(join(dir, "status"), "")
        if (own) await mkdir(join(dir, "keys"), { recursive: true })
        for (const repository of repositories) await writeChanged(keyOf(repository), `${repository.key.trim()}\n`)
        if (own) await writeChanged(join(dir, "preferences"), pinsOf(repositories))
        await writeChanged(join(dir, "sources.list"), list + repositories.map((each) => sourceLine(each, keyOf(each))).join(""))
        await writeChanged(join(dir, "apt.conf"), conf)
        // Those that nobody uses go, by their time.
        if (own) await utimes(dir, new Date(), new Date())
      },
      catch: diskFailure("preparing the package index")
    })
    return { dir, sources: [...mirrors, ...repositories.map((each) => ({ uri: repositoryUri(each), suite: each.suite }))] }
  })

  const read = (dir: string, sources: ReadonlyArray<{ uri: string; suite: string }>, own: boolean) =>
    Effect.tryPromise({
      try: async (): Promise<AptIndex | undefined> => {
        const link = await readlink(join(dir, "current")).catch(() => undefined)
        if (link === undefined || !/^gen\/[0-9a-f]{64}$/.test(link)) return undefined
        const index = join(dir, link)
        const lists = sources.map(({ suite, uri }) =>
          join(index, "lists", `${escapedUri(uri)}_${suite.endsWith("/") ? escapedUri(suite) : `dists_${escapedUri(suite)}_`}`)
        )
        return {
          dir: index,
          revision: link.slice(link.lastIndexOf("/") + 1),
          sources: await Promise.all(
            sources.map(async (source, at) => ({ ...source, ...factsOf(await signedRelease(lists[at]!)) }))
          ),
          env: { APT_CONFIG: join(dir, "apt.conf") },
          ...(own && { foreign: { read: [dir], write: [] } }),
          options: ["-o", `Dir::State::lists=${join(index, "lists")}`, "-o", `Dir::Cache=${index}`]
        }
      },
      catch: diskFailure("reading the package index")
    })

  const get: AptIndexes["get"] = Effect.fn("debian.index")(function*(release, architecture, report, repositories = []) {
    const own = repositories.length > 0
    const seed = own ? (yield* get(release, architecture, report)).dir : undefined
    if (own && !config.privateRepositories) yield* checkHosts(repositories)
    const key = `${release.id}/${architecture}/${own ? digestOf(JSON.stringify(repositories)) : ""}`
    const state = states.get(key) ?? { turn: Semaphore.makeUnsafe(1), askAgainAt: 0 }
    states.delete(key)
    states.set(key, state)
    // The one that was not asked for the longest; whoever waits for it has it in hand.
    if (states.size > mostStates) states.delete(states.keys().next().value!)
    // One update serves everybody who waits for it.
    return yield* state.turn.withPermit(
      Effect.gen(function*() {
        if (state.known !== undefined && Date.now() < state.askAgainAt) return state.known
        if (own) yield* tidyOwnStates(config.cacheDir)
        const { dir, sources } = yield* prepare(release, architecture, repositories)
        const everyMs = config.updateEveryMs ?? defaultUpdateMs
        const script = scriptPath("update-index.sh")
        const update: Command = {
          argv: ["bash", script, dir, String(everyMs / 60_000), ...(seed ? [join(seed, "lists")] : [])],
          ...(report && { onLine: (line) => report.line(line) })
        }
        // What tenants' repositories answer is read as nobody of this machine, here and wherever it is read again.
        const updated = yield* own
          ? confined(update, { read: [dirname(script), ...(seed ? [seed] : []), ...sources.flatMap(folderOf)], write: [dir], network: true }, dir, limits)
          : run(update)
        const index = yield* read(dir, sources, own)
        if (index === undefined) {
          return yield* repositoryFailure(repositories, updated.tail) ?? new BuildFailed({
            class: /No space left/i.test(updated.tail.join("\n")) ? "platform" : "repository",
            message: `no package index of ${release.name}: its mirror cannot be used`,
            excerpt: excerptOf(updated.tail)
          })
        }
        if (updated.code !== 0)
          report?.line(`warning: the package index of ${release.name} could not be updated; going on with the last one`)
        state.known = index
        state.askAgainAt = Date.now() + (updated.code === 0 ? everyMs : Math.min(retryMs, everyMs))
        return index
      })
    )
  })

  const ask: AptIndexes["ask"] = ({ dir, env, foreign }, argv) => {
    const command: Command = { argv, env, collect: true }
    return foreign === undefined ? run(command) : confined(command, foreign, dir, limits)
  }

  return { get, ask }
}

/** A mirror may be a folder of this machine. */
const folderOf = ({ uri }: { readonly uri: string }): ReadonlyArray<string> =>
  /^(file|copy):/.test(uri) ? [fileURLToPath(uri.replace(/^(file|copy):\/*/, "file:///"))] : []

const archiveVariable: Record<Archive, string> = {
  debian: "KILN_DEBIAN_MIRROR",
  security: "KILN_DEBIAN_SECURITY_MIRROR",
  ubuntu: "KILN_UBUNTU_MIRROR"
}

/** Some mirrors keep the signature in a file apart. */
const signedRelease = (list: string) => readFile(`${list}InRelease`).catch(() => readFile(`${list}Release`))

const factsOf = (release: Buffer): Pick<IndexSource, "revision" | "date"> => {
  const madeAt = Date.parse(/^Date: (.+)$/m.exec(release.toString("latin1"))?.[1] ?? "")
  return { revision: digestOf(release), ...(!Number.isNaN(madeAt) && { date: new Date(madeAt).toISOString() }) }
}

/** How apt names the files of a list. */
const escapedUri = (uri: string) =>
  uri
    .replace(/^[a-z]+:\/+/, (scheme) => (scheme.startsWith("file") || scheme.startsWith("copy") ? "/" : ""))
    .replace(/[\\|{}[\]<>"^~_=!@#$%&*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, "0")}`)
    .replaceAll("/", "_")
