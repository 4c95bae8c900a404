/** Customizations that are nothing but files of ours: their places are fixed, their content is made here. Pure. */
import { createHash } from "node:crypto"
import type { SealedCustomizations } from "../../domain/customizations.ts"
import { repositoryFiles } from "./repositories.ts"
import type { Link } from "./units.ts"

export interface SettingFile {
  /** Of the request, for whoever reads why it could not be placed. */
  readonly field: string
  readonly path: string
  readonly data: string
  readonly mode?: string
}

const sysctlFile = (sysctl: NonNullable<SealedCustomizations["sysctl"]>): SettingFile => ({
  field: "sysctl",
  path: "/etc/sysctl.d/90-kiln.conf",
  // Sorted: the order of a record's keys is no part of a request.
  data: Object.keys(sysctl).sort().map((key) => `${key} = ${sysctl[key]}\n`).join("")
})

const aptProxy = ({ http, https, no_proxy = [] }: NonNullable<SealedCustomizations["proxy"]>): SettingFile => ({
  field: "proxy",
  path: "/etc/apt/apt.conf.d/90-kiln-proxy",
  data: [
    ...Object.entries({ http, https }).flatMap(([scheme, uri]) =>
      uri === undefined ? [] : [`Acquire::${scheme}::Proxy "${uri}";\n`]
    ),
    // apt knows exceptions by host only.
    ...no_proxy
      .filter((host) => /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(host))
      .flatMap((host) => ["http", "https"].map((scheme) => `Acquire::${scheme}::Proxy::${host} "DIRECT";\n`))
  ].join("")
})

/** Programs read the one spelling or the other. */
export const proxyEnvironment = ({ http, https, no_proxy = [] }: NonNullable<SealedCustomizations["proxy"]>): string =>
  Object.entries({ http_proxy: http, https_proxy: https, no_proxy: no_proxy.length > 0 ? no_proxy.join(",") : undefined })
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}\n`, `${name.toUpperCase()}=${value}\n`]))
    .join("")

const timeServers = (servers: ReadonlyArray<string>): SettingFile => ({
  field: "ntp_servers",
  path: "/etc/systemd/timesyncd.conf.d/90-kiln.conf",
  data: `[Time]\nNTP=${servers.join(" ")}\n`
})

const keyboardFile = ({ layout, variant = "" }: NonNullable<SealedCustomizations["keyboard"]>): SettingFile => ({
  field: "keyboard",
  path: "/etc/default/keyboard",
  data: `XKBMODEL="pc105"\nXKBLAYOUT="${layout}"\nXKBVARIANT="${variant}"\nXKBOPTIONS=""\nBACKSPACE="guess"\n`
})

/** The seed alone: nothing is asked of the network, which is set up without cloud-init. */
const cloudInitFiles = (user_data: string): ReadonlyArray<SettingFile> =>
  [
    { path: "/var/lib/cloud/seed/nocloud/user-data", data: user_data, mode: "600" },
    {
      path: "/var/lib/cloud/seed/nocloud/meta-data",
      data: `instance-id: kiln-${createHash("sha256").update(user_data).digest("hex").slice(0, 16)}\n`
    },
    {
      path: "/etc/cloud/cloud.cfg.d/95-kiln-seed.cfg",
      data: "datasource_list: [ NoCloud, None ]\nnetwork: { config: disabled }\napt: { preserve_sources_list: true }\n"
    }
  ].map((file) => ({ field: "cloud_init.user_data", ...file }))

/** Where a cloud has the first word, and says who may enter: what it brings goes before this, key by key. */
const besideCloud = (user_data: string): ReadonlyArray<SettingFile> => [
  user_data.startsWith("#!")
    ? { field: "cloud_init.user_data", path: "/var/lib/cloud/scripts/per-instance/90-kiln-user-data", data: user_data, mode: "700" }
    : { field: "cloud_init.user_data", path: "/etc/cloud/cloud.cfg.d/95-kiln-user-data.cfg", data: user_data, mode: "600" }
]

const firstBootUnit = "/etc/systemd/system/kiln-first-boot.service"

/** Once, whatever comes of it; a run that lost its power is none, and is begun again. */
const firstBootFiles = (script: string): ReadonlyArray<SettingFile> =>
  [
    { path: "/usr/lib/kiln/first-boot", data: script, mode: "700" },
    {
      path: firstBootUnit,
      data: `[Unit]
Description=What was asked for to be run once, at the first boot
Wants=network-online.target
After=network-online.target
ConditionPathExists=!/var/lib/kiln/first-boot-done

[Service]
Type=oneshot
ExecStart=/usr/lib/kiln/first-boot
ExecStopPost=/bin/mkdir -p /var/lib/kiln
ExecStopPost=/bin/touch /var/lib/kiln/first-boot-done
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=multi-user.target
`
    }
  ].map((file) => ({ field: "first_boot.script", ...file }))

/** `asksCloud`: whether its machines get user data from elsewhere too. */
export const settingFiles = (customizations: SealedCustomizations, asksCloud = false): ReadonlyArray<SettingFile> => {
  const { cloud_init, first_boot, keyboard, ntp_servers = [], proxy, repositories = [], sysctl } = customizations
  return [
    ...repositoryFiles(repositories),
    ...(sysctl === undefined ? [] : [sysctlFile(sysctl)]),
    ...(proxy === undefined ? [] : [aptProxy(proxy)]),
    ...(ntp_servers.length === 0 ? [] : [timeServers(ntp_servers)]),
    ...(keyboard === undefined ? [] : [keyboardFile(keyboard)]),
    ...(cloud_init === undefined ? [] : asksCloud ? besideCloud(cloud_init.user_data) : cloudInitFiles(cloud_init.user_data)),
    ...(first_boot === undefined ? [] : firstBootFiles(first_boot.script))
  ]
}

export const settingLinks = ({ first_boot }: SealedCustomizations): ReadonlyArray<Link> =>
  first_boot === undefined
    ? []
    : [{ path: "/etc/systemd/system/multi-user.target.wants/kiln-first-boot.service", target: firstBootUnit }]
