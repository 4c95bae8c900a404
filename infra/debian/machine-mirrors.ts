/** Where Debian's packages come from: this machine's own mirrors of Debian, or else Debian's public ones. */
import { Effect } from "effect"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import { machineSources, type MachineSource } from "./apt-output.ts"
import type { Archive } from "./distributions.ts"
import { run } from "../process/run.ts"

export type DebianMirrors = Record<Exclude<Archive, "ubuntu">, string>

/** For a machine that has no mirror of Debian, such as one with Ubuntu. */
const publicHosts: DebianMirrors = { debian: "deb.debian.org/debian", security: "deb.debian.org/debian-security" }

export const debianMirrorsOf = (sources: ReadonlyArray<MachineSource>): DebianMirrors => {
  const usable = sources.filter(({ uri }) => /^(https?|file|copy):\//.test(uri) && hostOf(uri) !== "archive.debian.org")
  const mirrorOf = (archive: keyof DebianMirrors) =>
    ranks[archive].map((isDebians) => usable.find(isDebians)?.uri).find((uri) => uri !== undefined) ??
    `http://${publicHosts[archive]}`
  return { debian: mirrorOf("debian"), security: mirrorOf("security") }
}

type IsDebians = (source: MachineSource) => boolean

/** A repository says itself what it is, once apt has fetched its lists; before that only its address can tell. */
const labelled =
  (wanted: string): IsDebians =>
  ({ label, origin }) => origin === "Debian" && label === wanted

/** Others too have a `/debian` with Debian's suites: one of Debian's own hosts goes first. */
const addressed = (suites: RegExp, path: RegExp): ReadonlyArray<IsDebians> => {
  const fits: IsDebians = ({ component, label, suite, uri }) =>
    label === "" && component === "main" && suites.test(suite) && path.test(uri)
  return [(source) => fits(source) && /(^|\.)debian\.org$/.test(hostOf(source.uri)), fits]
}

const suite = "(bookworm|trixie|forky|sid|unstable|testing|stable|oldstable)"

/** What makes a source Debian's, the surest first. */
const ranks: Record<keyof DebianMirrors, ReadonlyArray<IsDebians>> = {
  debian: [labelled("Debian"), ...addressed(RegExp(`^${suite}(-updates)?$`), /\/debian$/)],
  security: [
    labelled("Debian-Security"),
    ...addressed(RegExp(`^${suite}-security$`), /\/debian-security$|\/\/security\.debian\.org$/)
  ]
}

const hostOf = (uri: string) => /^https?:\/\/([^/:]+)/.exec(uri)?.[1] ?? ""

/** The environment says whose apt is asked, in tests. */
export const machineMirrors = Effect.fnUntraced(function*(env: Readonly<Record<string, string>> = {}) {
  const known = yield* asked(env, "true")
  // What has not been fetched yet is told only without what it says of itself.
  const all = yield* asked(env, "false")
  return debianMirrorsOf([...known, ...all.filter(({ uri }) => !known.some((source) => source.uri === uri))])
})

const asked = (
  env: Readonly<Record<string, string>>,
  releaseInfo: "true" | "false"
): Effect.Effect<ReadonlyArray<MachineSource>, BuildFailed> =>
  run({
    argv: [
      "apt-get",
      "-o",
      `APT::Get::IndexTargets::ReleaseInfo=${releaseInfo}`,
      "indextargets",
      "--format",
      "$(REPO_URI)|$(RELEASE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)",
      "Created-By: Packages"
    ],
    env,
    collect: true
  }).pipe(Effect.map(({ stdout }) => machineSources(stdout)))
