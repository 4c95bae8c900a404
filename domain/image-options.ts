/** What an image type may be told, as keys of `images[].options`. Each type says which of them it takes. */
import { Schema } from "effect"
import { FailureClass } from "./failure-class.ts"
import { Parameters } from "./parameters.ts"
import { list, matching } from "./text.ts"

const optional = Schema.optionalKey
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const MiB = 2 ** 20
const Mountpoint = matching(
  /^\/(home|opt|srv|tmp|var|data|mnt|media|app|usr\/local)(\/[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}){0,7}$/u,
  "a folder at or below /app, /data, /home, /media, /mnt, /opt, /srv, /tmp, /usr/local or /var"
)
export const FileSystem = Schema.Literals(["ext4", "btrfs"])
export type FileSystem = typeof FileSystem.Type

/** A partition of its own, beside those that every disk has. */
const Mount = Schema.Struct({
  mountpoint: Mountpoint,
  size_bytes: between(16 * MiB, 2 ** 40),
  filesystem: optional(FileSystem)
})
export type Mount = typeof Mount.Type

/** The last six are what the simulated builder takes. */
export const ImageOptions = Schema.Struct({
  size_bytes: optional(between(1, 2 ** 40)),
  /** Of the root. */
  filesystem: optional(FileSystem),
  /** There is but one way: what would make the others wants a kernel's help, which a build has not. */
  partitioning: optional(matching(/^plain$/u, "plain; neither LVM nor btrfs subvolumes can be made here")),
  swap_bytes: optional(between(MiB, 2 ** 38)),
  mountpoints: optional(list(Mount, 16)),
  /** Whether the kernel and a login prompt use the first serial port. */
  serial: optional(Schema.Boolean),
  /** What the operator has declared for the image type. */
  parameters: optional(Parameters),
  duration_ms: optional(between(0, 3_600_000)),
  fail_with: optional(FailureClass),
  lines: optional(between(0, 1_000_000)),
  bytes: optional(between(0, 2 ** 33)),
  varies: optional(Schema.Boolean),
  packages_every_ms: optional(between(1, 2 ** 41))
})
export type ImageOptions = typeof ImageOptions.Type
