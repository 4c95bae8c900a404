import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { debianMirrorsOf, machineMirrors } from "../../../infra/debian/machine-mirrors.ts"
import { needs } from "../../support/needs.ts"
import { inTemporary } from "./real.ts"

const debian = "http://near/debian"
const security = "http://near/debian-security"
const ubuntu = "http://near/ubuntu"
const at = (place: string) => `http://${place}`
const ofPublic = { debian: at("deb.debian.org/debian"), security: at("deb.debian.org/debian-security") }

/** As apt tells it before its lists are fetched. */
const unread = (uri: string, suite: string, component = "main") => ({ uri, suite, origin: "", label: "", component })
const read = (uri: string, suite: string, label: string, origin = "Debian") => ({
  uri,
  suite,
  origin,
  label,
  component: "main"
})

describe("the mirrors of a machine", () => {
  it("are Debian's by what they say of themselves, wherever they are", () =>
    expect(
      debianMirrorsOf([
        read("http://near/x", "trixie", "Debian"),
        read("http://near/y", "trixie-security", "Debian-Security")
      ])
    ).toEqual({ debian: "http://near/x", security: "http://near/y" }))

  it("are Debian's by their addresses where apt has no lists yet", () => {
    expect(debianMirrorsOf([unread(debian, "trixie"), unread(security, "trixie-security")])).toEqual({
      debian,
      security
    })
    const [ftp, old] = [at("ftp.de.debian.org/debian"), at("security.debian.org")]
    expect(debianMirrorsOf([unread(debian, "sid"), unread(ftp, "sid"), unread(old, "stable-security")])).toEqual({
      debian: ftp,
      security: old
    })
  })

  it.each([
    ["nobody's", []],
    ["Ubuntu's", [read(ubuntu, "noble", "Ubuntu", "Ubuntu"), unread(ubuntu, "noble-security")]],
    ["a vendor's for Debian", [unread("http://vendor/linux/debian", "trixie", "stable")]],
    ["a distribution's made from Debian", [read("http://other/debian", "trixie", "Debian", "Other")]],
    ["of backports alone", [read(debian, "trixie-backports", "Debian Backports"), unread(debian, "trixie-backports")]],
    ["not for other machines", [unread("cdrom:[Debian]/debian", "trixie"), unread("mirror+file:/x/debian", "trixie")]],
    ["of what is no longer supported", [read(at("archive.debian.org/debian"), "stretch", "Debian")]]
  ])("are Debian's public ones where its own are %s", (_, sources) =>
    expect(debianMirrorsOf(sources)).toEqual(ofPublic))

  it("are completed by the public security mirror", () =>
    expect(debianMirrorsOf([read(debian, "trixie", "Debian")])).toEqual({ debian, security: ofPublic.security }))
})

describe("apt", () => {
  needs("apt-get")

  /** What a machine with these sources, whose lists nobody fetched, takes for its mirrors. */
  const mirrorsWith = (...sources: ReadonlyArray<string>) =>
    inTemporary(async (dir) => {
      for (const name of ["lists", "none"]) mkdirSync(join(dir, name))
      writeFileSync(join(dir, "sources.list"), sources.map((source) => `deb ${source}\n`).join(""))
      writeFileSync(
        join(dir, "apt.conf"),
        `Dir::Etc::sourcelist "${dir}/sources.list"; Dir::Etc::sourceparts "${dir}/none";
Dir::State::lists "${dir}/lists";`
      )
      return Effect.runPromise(machineMirrors({ APT_CONFIG: join(dir, "apt.conf") }))
    })

  it("tells the sources of a machine before its lists are fetched", async () =>
    expect(await mirrorsWith(`${debian}/ trixie main`, `${security} trixie-security main`)).toEqual({
      debian,
      security
    }))

  it("has none of Debian on Ubuntu", async () =>
    expect(
      await mirrorsWith(`${ubuntu} noble main universe`, `${ubuntu} noble-security main`)
    ).toEqual(ofPublic))
})
