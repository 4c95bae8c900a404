/** A small image that somebody has looked into. */
import type { Inventory } from "../../domain/evidence/inventory.ts"
import { type Lock, manifestOf } from "../../domain/manifest.ts"
import { artifact, image } from "./composes.ts"

const url = (name: string) => `http://mirror.test/pool/${name}.deb`

export const lock: Lock = {
  distribution: "debian-13", architecture: "x86_64", sources: [{ uri: "http://mirror.test", suite: "trixie", revision: "r1" }],
  packages: [
    { name: "less", version: "668-1", architecture: "amd64", size: 3, sha256: "b".repeat(64), url: url("less") },
    { name: "libgcc-s1", version: "14.2.0-19", architecture: "amd64", size: 3, sha256: "c".repeat(64), url: url("libgcc-s1") }
  ]
}

export const manifest = manifestOf("debian", { distribution: "debian-13", image, customizations: {} }, lock)

export const inventory: Inventory = {
  epoch: 1_763_000_000,
  packages: [
    {
      name: "libgcc-s1", version: "14.2.0-19", architecture: "amd64", source: { name: "gcc-14", version: "14.2.0-19" },
      maintainer: "Debian GCC Maintainers <debian-gcc@lists.debian.org>", license: "GPL-3.0-or-later AND LicenseRef-gcc-14-runtime"
    },
    {
      name: "less", version: "668-1", architecture: "amd64", source: { name: "less", version: "668-1" },
      maintainer: "Milan Kupcevic <milan@debian.org>", license: "BSD-2-Clause OR GPL-3.0-or-later"
    },
    // Nobody can tell its license, and it is not in the lock.
    { name: "g++-odd", version: "1:2.0~rc1+b1", architecture: "all", source: { name: "odd", version: "1:2.0~rc1" } }
  ],
  licenses: [{ id: "LicenseRef-gcc-14-runtime", name: "runtime", text: "What /usr/share/doc/gcc-14-base/copyright in the image calls \"runtime\"; the text is there." }],
  tools: { mmdebstrap: "1.3.5-7" }
}

export { artifact }
