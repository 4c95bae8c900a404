/** A request's customizations as a blueprint of the image-builder tool. Pure. */
import { packageNameOf } from "../../domain/customizations.ts"
import type { Manifest } from "../../domain/manifest.ts"
import type { Secrets } from "../../domain/ports/image-builder.ts"
import { passwordHash, secretNameOf } from "../debian/customization-files.ts"

/** What a blueprint can say as it is asked for here. */
export const blueprintKeys = ["packages", "users", "groups", "hostname", "timezone", "locale", "keyboard", "kernel", "services"] as const

export const blueprintOf = ({ customizations, distribution }: Manifest, secrets: Secrets) => {
  const { groups, hostname, kernel, keyboard, locale, packages = [], services, timezone, users } = customizations
  return {
    name: distribution,
    packages: packages.map((each) => ({ name: packageNameOf(each), ...(typeof each !== "string" && each.version !== undefined && { version: each.version }) })),
    customizations: {
      ...(hostname !== undefined && { hostname }),
      ...(kernel && { kernel }),
      ...(timezone !== undefined && { timezone: { timezone } }),
      ...((locale !== undefined || keyboard !== undefined) && {
        locale: { ...(locale !== undefined && { languages: [locale] }), ...(keyboard !== undefined && { keyboard: keyboardOf(keyboard) }) }
      }),
      ...(services && { services }),
      ...(groups && { group: groups }),
      ...(users && {
        user: users.map(({ expiredate, groups, keys, name, password, sudo, ...user }) => ({
          ...user, name,
          ...(expiredate !== undefined && { expiredate: Math.floor(Date.parse(expiredate) / 86_400_000) }),
          ...(keys && { key: keys.join("\n") }),
          ...((groups !== undefined || sudo === true) && { groups: [...groups ?? [], ...sudo === true ? ["wheel"] : []] }),
          ...(password !== undefined && { password: passwordHash(name, secrets.get(secretNameOf(name)) ?? "!", password.fingerprint) })
        }))
      })
    }
  }
}

const keyboardOf = ({ layout, variant }: { readonly layout: string; readonly variant?: string }) => variant === undefined ? layout : `${layout}-${variant}`
