/** What a tenant asks for. The same shapes serve the API (passwords in clear) and the log (passwords sealed). */
import { Schema } from "effect"
import { Architecture } from "./ids.ts"
import { Sealed } from "./sealed.ts"

const text = (max: number) => Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(max))
/** Text that every store takes: no NUL, no half of a surrogate pair. */
const storable = (max: number) => Schema.String.check(Schema.isMaxLength(max), Schema.isPattern(/^[^\u0000\ud800-\udfff]*$/u))
const line = (max: number) => text(max).check(Schema.isPattern(/^[^\u0000-\u001f\u007f\ud800-\udfff]*$/u))
const list = <S extends Schema.Top>(item: S, max: number) => Schema.Array(item).check(Schema.isMaxLength(max))

export const DistributionId = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9.-]{0,39}$/))
export const ImageType = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9-]{0,39}$/))
export const PackageName = Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9+.-]{0,127}$/))
export const UserName = Schema.String.check(Schema.isPattern(/^[a-z_][a-z0-9_-]{0,31}$/))
export const Hostname = Schema.String.check(
  Schema.isMaxLength(64),
  Schema.isPattern(/^(?=.{1,64}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/)
)
export const UnitName = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9:_.\\@-]{1,200}$/))
export const Timezone = Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_+-]{1,32}(\/[A-Za-z0-9_+-]{1,32}){0,2}$/))
export const Locale = Schema.String.check(Schema.isPattern(/^(C|POSIX|[a-z]{2,3}(_[A-Z]{2})?)(\.[A-Za-z0-9-]{1,16})?(@[a-z]{1,16})?$/))
export const SshKey = line(8192).check(
  Schema.isPattern(/^(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/=]+( .*)?$/)
)

/** Absolute, with no empty, `.` or `..` part, and not below the kernel's own trees. */
export const FilePath = Schema.String.check(
  Schema.isMaxLength(1024),
  Schema.isPattern(/^(?!\/(proc|sys|dev|run)(\/|$))(\/(?!\.{1,2}(\/|$))[^/\u0000-\u001f\u007f\ud800-\udfff]+)+$/u)
)

const FileCustomization = Schema.Struct({
  path: FilePath,
  data: storable(524_288),
  mode: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^0?[0-7]{3,4}$/))),
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

const composeRequestOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    distribution: DistributionId,
    name: Schema.optionalKey(line(200)),
    labels: Schema.optionalKey(
      Schema.Record(Schema.String.check(Schema.isPattern(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/)), storable(200))
        .check(Schema.isMaxProperties(32))
    ),
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
