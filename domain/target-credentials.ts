/** Which set of credentials a target asks for. */
import type { Provider } from "./credential-sets.ts"
import { providerOf } from "./credentials.ts"
import type { Target } from "./target.ts"

export const credentialsOfTarget = (target: Target): string | undefined => target.type === "file" ? undefined : target.credentials

/** Only a registry may be open to all. */
export const needsCredentials = ({ type }: Target): boolean => type !== "file" && type !== "oci"

export const providerOfTarget = ({ type }: Target): Provider | undefined => providerOf[type]
