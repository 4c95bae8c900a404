/**
 * What a tenant wants in an image. Names of fields are those of the Image Builder's blueprints where they have one. The
 * same shapes serve the API (passwords in clear) and the log (passwords sealed).
 */
import { Schema } from "effect"
import { Digest } from "./ids.ts"
import { Sealed } from "./sealed.ts"
import { line, list, matching, storable } from "./text.ts"

const optional = Schema.optionalKey
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

export const PackageName = matching(/^[a-z0-9][a-z0-9+.-]{0,127}$/u, "a package name: lower-case letters, digits and + - .")
export const PackageVersion = matching(
  /^([0-9]{1,9}:)?[A-Za-z0-9][A-Za-z0-9.+~-]{0,199}$/u, "a version as Debian writes it, such as 1:2.30.2-1+deb13u1"
)
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

const Mode = matching(/^0?[0-7]{3,4}$/u, "a file mode in octal digits, such as 0644")
const Owner = Schema.Union([UserName, between(0, 65_535)])

const Package = Schema.Union([PackageName, Schema.Struct({ name: PackageName, version: optional(PackageVersion) })])

const Repository = Schema.Struct({
  /** Names its files. */
  id: matching(/^[a-z0-9][a-z0-9-]{0,39}$/u, "a name of at most 40 lower-case letters, digits and hyphens"),
  uri: matching(
    /^https?:\/\/[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?(\/[A-Za-z0-9._~+%-]+)*\/?$/u,
    "an address that begins with http:// or https://, without user and password"
  ).check(Schema.isMaxLength(500)),
  /** `./`, or another path that ends so, for a repository without components. */
  suite: matching(/^(\.\/|[A-Za-z0-9][A-Za-z0-9._~+-]*(\/[A-Za-z0-9][A-Za-z0-9._~+-]*)*\/?)$/u, "a suite, such as stable")
    .check(Schema.isMaxLength(200)),
  components: optional(list(matching(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,59}$/u, "a component, such as main"), 16)),
  /** Only what is signed with it is taken, and it counts for this repository alone. */
  key: matching(
    /^\s*-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?![^]*PRIVATE KEY)[\t\r\n\u0020-\u007e]*-----END PGP PUBLIC KEY BLOCK-----\s*$/u,
    "a public OpenPGP key, armored"
  ).check(Schema.isMaxLength(131_072)),
  priority: optional(between(1, 1000)),
  install_in_image: optional(Schema.Boolean)
})
export type Repository = typeof Repository.Type

const FileCustomization = Schema.Struct({
  path: FilePath,
  /** What it holds, or the digest of a file that was stored before: one of the two. */
  data: optional(storable(700_000)),
  digest: optional(Digest),
  data_encoding: optional(Schema.Literals(["plain", "base64"])),
  mode: optional(Mode),
  user: optional(Owner),
  group: optional(Owner),
  /** Folders on the way are made unless this is false. */
  ensure_parents: optional(Schema.Boolean)
})

const DirectoryCustomization = Schema.Struct({
  path: FilePath,
  mode: optional(Mode),
  user: optional(Owner),
  group: optional(Owner),
  ensure_parents: optional(Schema.Boolean)
})

const UserId = between(1000, 60_000)

const userOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    name: UserName,
    description: optional(matching(/^[^:\u0000-\u001f\u007f\ud800-\udfff]*$/u, "one line of text without colons").check(Schema.isMaxLength(200))),
    password: optional(password),
    keys: optional(list(SshKey, 32)),
    groups: optional(list(UserName, 32)),
    shell: optional(FilePath),
    home: optional(FilePath),
    uid: optional(UserId),
    /** Of the user's own group, which is made if there is none of this number. */
    gid: optional(UserId),
    /** From this day on the account is shut. */
    expiredate: optional(matching(/^(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/u, "a day, such as 2027-12-31")),
    /** Passwordless sudo; off unless asked for. */
    sudo: optional(Schema.Boolean)
  })

const GroupCustomization = Schema.Struct({ name: UserName, gid: optional(UserId) })

const Keyboard = Schema.Struct({
  layout: matching(/^[a-z][a-z0-9_-]{0,31}$/u, "a keyboard layout, such as de"),
  variant: optional(matching(/^[A-Za-z0-9_-]{1,32}$/u, "a variant of the layout, such as nodeadkeys"))
})

const KernelCustomization = Schema.Struct({
  name: optional(matching(/^linux-image-[a-z0-9][a-z0-9+.-]{0,100}$/u, "the package of a kernel, such as linux-image-amd64")),
  append: optional(
    matching(/^[A-Za-z0-9_.,:=@%+/~-]+( [A-Za-z0-9_.,:=@%+/~-]+)*$/u, "arguments of the kernel with one space between them: letters, digits and _ . , : = @ % + / ~ -")
      .check(Schema.isMaxLength(1024))
  )
})

const Services = Schema.Struct({
  enabled: optional(list(UnitName, 100)),
  disabled: optional(list(UnitName, 100)),
  masked: optional(list(UnitName, 100))
})

const ServiceName = matching(/^[a-z0-9][a-z0-9+._-]{0,39}$/u, "the name of a service as in /etc/services, such as https")

const Firewall = Schema.Struct({
  ports: optional(list(
    matching(/^([0-9]{1,5}(-[0-9]{1,5})?|[a-z][a-z0-9-]{0,39}):(tcp|udp)$/u, "a port, a range or a service's name, and its protocol, such as 22:tcp or 6000-6010:udp"),
    200
  )),
  services: optional(Schema.Struct({
    enabled: optional(list(ServiceName, 100)),
    disabled: optional(list(ServiceName, 100))
  }))
})

const Certificates = Schema.Struct({ pem_certs: list(storable(65_536), 50) })

const FirstBoot = Schema.Struct({ script: storable(65_536) })
const CloudInit = Schema.Struct({ user_data: storable(65_536) })

const Sysctl = Schema.Record(
  matching(/^[A-Za-z0-9_*-]+([./][A-Za-z0-9_*-]+)+$/u, "the name of a kernel setting, such as net.ipv4.ip_forward").check(Schema.isMaxLength(200)),
  Schema.Union([line(500), Schema.Int])
).check(Schema.isMaxProperties(200))

const ProxyUri = matching(
  /^https?:\/\/[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?\/?$/u,
  "the address of a proxy without user and password, such as http://proxy.example.org:3128"
)
const Proxy = Schema.Struct({
  http: optional(ProxyUri),
  https: optional(ProxyUri),
  no_proxy: optional(list(matching(/^[A-Za-z0-9.:/*-]{1,253}$/u, "a host, a domain with a dot before it, or a network"), 100))
})

const customizationsOf = <Password extends Schema.Top>(password: Password) =>
  Schema.Struct({
    packages: optional(list(Package, 1000)),
    repositories: optional(list(Repository, 16)),
    users: optional(list(userOf(password), 100)),
    groups: optional(list(GroupCustomization, 100)),
    hostname: optional(Hostname),
    timezone: optional(Timezone),
    ntp_servers: optional(list(Hostname, 16)),
    locale: optional(Locale),
    keyboard: optional(Keyboard),
    kernel: optional(KernelCustomization),
    files: optional(list(FileCustomization, 500)),
    directories: optional(list(DirectoryCustomization, 500)),
    services: optional(Services),
    firewall: optional(Firewall),
    cacerts: optional(Certificates),
    first_boot: optional(FirstBoot),
    cloud_init: optional(CloudInit),
    sysctl: optional(Sysctl),
    proxy: optional(Proxy)
  })

/** As they arrive: passwords in clear (or as `$6$…` crypt hashes). Never stored. */
export const Customizations = customizationsOf(line(512))
export type Customizations = typeof Customizations.Type

/** As they are stored. */
export const SealedCustomizations = customizationsOf(Sealed)
export type SealedCustomizations = typeof SealedCustomizations.Type

export const packageNameOf = (wanted: typeof Package.Type): string => (typeof wanted === "string" ? wanted : wanted.name)
