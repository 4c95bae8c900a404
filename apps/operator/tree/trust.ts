/** What images are worth. */
import { Argument, Command, Flag } from "effect/cli"
import { alone, talking } from "../root.ts"
import { described, id, off, optional } from "./flags.ts"
import { load } from "./load.ts"

export const evidence = Command.make("evidence", {
  id,
  output: Flag.String("output").pipe(Flag.withAlias("o"), Flag.withMetavar("dir"), described("Where to put the documents (here)"), Flag.withDefault(".")),
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Only image n, counted from 0"), Flag.optional)
}, (input) => talking(load(() => import("../commands/evidence.ts"), ({ evidence }) => evidence(input)))).pipe(
  Command.withDescription("Fetch what is said of a compose's images: provenance, bills of materials, locks, checksums")
)

export const verifyImage = Command.make("verify-image", {
  file: Argument.String("file").pipe(Argument.withDescription("The image, as it was downloaded")),
  provenance: optional("provenance", "Its provenance (else <file>.provenance.json)"),
  key: optional("key", "Public key that it must be signed by, as PEM (else KILN_PROVENANCE_KEY, else that of the Kiln of KILN_HOME)"),
  sbom: optional("sbom", "A bill of materials that must be the image's (else <file>.spdx.json and <file>.cdx.json, where they are)")
}, (input) => alone(load(() => import("../commands/verify-image.ts"), ({ verifyImage }) => verifyImage(input)))).pipe(
  Command.withDescription("Check a downloaded image against its signed provenance, without asking anybody")
)

export const verifyBuild = Command.make("verify-build", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Image n, counted from 0 (0)"), Flag.withDefault(0)),
  detach: Flag.Boolean("detach").pipe(described("Print the id of the compose that verifies and leave, instead of watching"), off)
}, (input) => talking(load(() => import("../commands/verify-build.ts"), ({ verifyBuild }) => verifyBuild(input)))).pipe(
  Command.withDescription("Have an image built again, by another worker if there is one, and say how the two differ")
)

export const compare = Command.make("compare", {
  first: Argument.String("first").pipe(Argument.withDescription("A disk of any usual format, a squashfs or a tar, also compressed")),
  second: Argument.String("second").pipe(Argument.withDescription("Another"))
}, (input) => alone(load(() => import("../commands/compare.ts"), ({ compare }) => compare(input)))).pipe(
  Command.withDescription("Say how two images differ, by file; needs the tools of a worker")
)

export const vulnerabilities = Command.make("vulnerabilities", {
  id,
  image: Flag.Int("image").pipe(Flag.withMetavar("n"), described("Of image n, counted from 0 (0)"), Flag.withDefault(0))
}, (input) => talking(load(() => import("../commands/vulnerabilities.ts"), ({ vulnerabilities }) => vulnerabilities(input)))).pipe(
  Command.withDescription("List known flaws of an image's packages, the gravest first")
)
