/** What a tenant asks for. The same shapes serve the API (passwords in clear) and the log (passwords sealed). */
import { Schema } from "effect"
import { Architecture } from "./ids.ts"
import { Sealed } from "./sealed.ts"

/** With the `u` flag a pattern reaches the OpenAPI document; `expected` is what people read when it does not match. */
const matching = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }))

/** Text that every store takes: no NUL, no half of a surrogate pair. */
const storable = (max: number) => matching(/^[^\u0000\ud800-\udfff]*$/u, "text without NUL and half surrogate pairs").check(Schema.isMaxLength(max))
const line = (max: number) =>
  matching(/^[^\u0000-\u001f\u007f\ud800-\udfff]+$/u, "one line of text without control characters").check(Schema.isMaxLength(max))
const list = <S extends Schema.Top>(item: S, max: number) => Schema.Array(item).check(Schema.isMaxLength(max))

export const DistributionId = matching(/^[a-z0-9][a-z0-9.-]{0,39}$/u, "the id of a distribution, such as debian-13")
export const ImageType = matching(/^[a-z0-9][a-z0-9-]{0,39}$/u, "an image type, such as guest-image")
export const PackageName = matching(/^[a-z0-9][a-z0-9+.-]{0,127}$/u, "a package name: lower-case letters, digits and + - .")
export const UserName = matching(
  /^[a-z_][a-z0-9_-]{0,31}$/u,
  "a user or group name: a lower-case letter or _ first, then at most 31 lower-case letters, digits, _ or -"
)
export const Hostname = matching(
  /^(?=.{1,64}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/u,
  "a host name of at most 64 characters: letters, digits and hyphens, parts separated by dots"
)
export const UnitName = matching(/^[A-Za-z0-9:_.\\@-]{1,200}$/u, "the name of a systemd unit, such as ssh or backup.timer")
export const Timezone = matching(
  /^[A-Za-z0-9_+-]{1,32}(\/[A-Za-z0-9_+-]{1,32}){0,2}$/u, "a time zone, such as UTC or Europe/Berlin")
export const Locale = matching(
  /^(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]{1,16})?(@[a-z]{1,16})?$/u, "a locale, such as de_DE.UTF-8 or C.UTF-8")
export const SshKey = matching(
  /^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/=]+( [^\u0000-\u001f\u007f]*)?$/u,
  "one public SSH key as in a .pub file"
).check(Schema.isMaxLength(8192))

/** Absolute, with no empty, `.` or `..` part, and not below the kernel's own trees. */
export const FilePath = matching(
  /^(?!\/(proc|sys|dev|run)(\/|$))(\/(?!\.{1,2}(\/|$))[^/\u0000-\u001f\u007f\ud800-\udfff]+)+$/u,
  "an absolute path without empty, . or .. parts, and not below /proc, /sys, /dev or /run"
).check(Schema.isMaxLength(1024))

const FileCustomization = Schema.Struct({
  path: FilePath,
  data: storable(524_288),
  mode: Schema.optionalKey(matching(/^0?[0-7]{3,4}$/u, "a file mode in octal digits, such as 0644")),
  user: Schema.optionalKey(UserName),
  group: Schema.optionalKey(UserName)
})

const userOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    name: UserName,
    password: Schema.optionalKey(password),
    keys: Schema.optionalKey(list(SshKey, 32)),
    groups: Schema.optionalKey(list(UserName, 32)),
    shell: Schema.optionalKey(FilePath),
    home: Schema.optionalKey(FilePath),
    uid: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1000, maximum: 60_000 }))),
    /** Passwordless sudo; off unless asked for. */
    sudo: Schema.optionalKey(Schema.Boolean)
  })

const customizationsOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    packages: Schema.optionalKey(list(PackageName, 1000)),
    users: Schema.optionalKey(list(userOf(password), 100)),
    hostname: Schema.optionalKey(Hostname),
    timezone: Schema.optionalKey(Timezone),
    locale: Schema.optionalKey(Locale),
    files: Schema.optionalKey(list(FileCustomization, 500)),
    services: Schema.optionalKey(Schema.Struct({
      enabled: Schema.optionalKey(list(UnitName, 100)),
      disabled: Schema.optionalKey(list(UnitName, 100)),
      masked: Schema.optionalKey(list(UnitName, 100))
    }))
  })

export const FailureClass = Schema.Literals([
  "user", "repository", "platform", "target-quota", "target-fault", "timeout", "canceled"
])
export type FailureClass = typeof FailureClass.Type

export const FileTarget = Schema.Struct({ type: Schema.Literal("file") })
export const Target = Schema.Union([FileTarget])
export type Target = typeof Target.Type

/** What the simulated builder takes; real builders take their own keys. */
const ImageOptions = Schema.Struct({
  size_bytes: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 40 }))),
  duration_ms: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3_600_000 }))),
  fail_with: Schema.optionalKey(FailureClass),
  lines: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 }))),
  bytes: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 33 })))
})
export type ImageOptions = typeof ImageOptions.Type

export const ImageRequest = Schema.Struct({
  architecture: Architecture,
  type: ImageType,
  options: Schema.optionalKey(ImageOptions),
  targets: Schema.optionalKey(list(Target, 16))
})
export type ImageRequest = typeof ImageRequest.Type

/** Who of one tenant's jobs goes first; other tenants are not touched by it. */
export const Priority = Schema.Literals(["high", "normal", "low"])
export type Priority = typeof Priority.Type

const composeRequestOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    distribution: DistributionId,
    name: Schema.optionalKey(line(200)),
    labels: Schema.optionalKey(
      Schema.Record(matching(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/u, "a label's name: lower-case letters, digits and . _ / -, at most 63"), storable(200))
        .check(Schema.isMaxProperties(32))
    ),
    priority: Schema.optionalKey(Priority),
    images: Schema.NonEmptyArray(ImageRequest).check(Schema.isMaxLength(16)),
    customizations: Schema.optionalKey(customizationsOf(password))
  })

/** As it arrives: passwords in clear (or as `$6$…` crypt hashes). Never stored. */
export const ComposeRequest = composeRequestOf(line(512))
export type ComposeRequest = typeof ComposeRequest.Type

/** As it is stored. */
export const SealedComposeRequest = composeRequestOf(Sealed)
export type SealedComposeRequest = typeof SealedComposeRequest.Type

export const SealedCustomizations = customizationsOf(Sealed)
export type SealedCustomizations = typeof SealedCustomizations.Type
