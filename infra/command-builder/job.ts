/** What a program of the command contract is told, on its standard input. */
import type { Manifest } from "../../domain/manifest.ts"
import type { Parameters } from "../../domain/parameters.ts"
import type { Secrets } from "../../domain/ports/image-builder.ts"

/** `version` rises when something is renamed or removed; fields may be added at any time. */
export const jobOf = (manifest: Manifest, parameters: Parameters, secrets: Secrets, workspace: string, output: string): string => {
  const { customizations, distribution, image: { architecture, type } } = manifest
  const users = customizations.users?.map(({ password, ...user }) =>
    ({ ...user, ...(password !== undefined && { password: { secret: `users.${user.name}.password` } }) }))
  return `${JSON.stringify({
    version: 1, distribution, architecture, type, parameters,
    customizations: { ...customizations, ...(users && { users }) },
    secrets: Object.fromEntries(secrets), workspace, output
  })}\n`
}
