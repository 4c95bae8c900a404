/** How a set of credentials becomes what the clients of AWS's SDK want to know. */
import { devNull } from "node:os"
import { Effect } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { AttemptMeter, type Meter } from "../../domain/ports/meter.ts"
import type { Credentials, CredentialsOf } from "../../domain/credentials.ts"
import { agentsFor } from "./agents.ts"
import { targetFailed } from "./failures.ts"

export type AwsCredentials = CredentialsOf<"aws">

export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  readonly expiration?: Date
}

export interface AwsIdentity {
  readonly region: string
  readonly endpoints: NonNullable<AwsCredentials["endpoints"]>
  /** Absent: the worker's own identity, which only an operator's set can mean. A provider, since uploads outlive short tokens. */
  readonly credentials?: () => Promise<AwsKeys>
  /** Of every client; one that is destroyed closes its connections. */
  readonly options: ReturnType<typeof clientOptions> & typeof nothingAmbient
}

/**
 * A profile on this machine may name a program that gives keys, and an endpoint; neither is what a set of credentials asks for.
 * Where the machine's own identity is meant, that is its environment, its web identity or its instance's role.
 */
const nothingAmbient = { filepath: devNull, configFilepath: devNull, ignoreConfiguredEndpointUrls: true }

const usualRegion = "us-east-1"

/** `region`: that of the target goes before that of the set. */
export const awsIdentity = (credentials: Credentials | undefined, region?: string): Effect.Effect<AwsIdentity, BuildFailed> =>
  Effect.flatMap(AttemptMeter, (meter) => identityOf(credentials, region, meter))

const identityOf = (credentials: Credentials | undefined, region: string | undefined, meter: Meter | undefined): Effect.Effect<AwsIdentity, BuildFailed> => {
  if (credentials?.provider !== "aws") {
    const message = credentials === undefined
      ? "there are no credentials for this target"
      : `credentials of ${credentials.provider} do not open this target`
    return Effect.fail(new BuildFailed({ class: "user", message }))
  }
  const { endpoints = {} } = credentials
  const where = region ?? credentials.region ?? usualRegion
  const keys = keysOf(credentials)
  const provider = credentials.role_arn === undefined ? keys && (() => Promise.resolve(keys)) : roleOf(credentials, where, keys, meter)
  return Effect.succeed({ region: where, endpoints, options: { ...clientOptions(credentials, meter), ...nothingAmbient }, ...(provider && { credentials: provider }) })
}

const keysOf = ({ access_key_id, secret_access_key, session_token }: AwsCredentials): AwsKeys | undefined =>
  access_key_id === undefined || secret_access_key === undefined
    ? undefined
    : { accessKeyId: access_key_id, secretAccessKey: secret_access_key, ...(session_token !== undefined && { sessionToken: session_token }) }

/** The SDK asks again when what it was given is about to end. */
const roleOf = (credentials: AwsCredentials, region: string, keys: AwsKeys | undefined, meter: Meter | undefined) => async (): Promise<AwsKeys> => {
  const { endpoints, external_id, role_arn } = credentials
  const { AssumeRoleCommand, STSClient } = await import("@aws-sdk/client-sts")
  const client = new STSClient({
    ...clientOptions(credentials, meter), ...nothingAmbient, region,
    ...(keys && { credentials: keys }), ...(endpoints?.sts !== undefined && { endpoint: endpoints.sts })
  })
  try {
    const { Credentials: given } = await client.send(new AssumeRoleCommand({
      RoleArn: role_arn, RoleSessionName: "kiln", ...(external_id !== undefined && { ExternalId: external_id })
    }))
    return {
      accessKeyId: given!.AccessKeyId!, secretAccessKey: given!.SecretAccessKey!, sessionToken: given!.SessionToken!,
      ...(given!.Expiration && { expiration: given!.Expiration })
    }
  } catch (error) {
    // Whoever catches it has many calls and has to tell this one from them.
    throw targetFailed("sts:AssumeRole", error)
  } finally {
    client.destroy()
  }
}

/** A connection that says nothing for two minutes is broken. */
export const clientOptions = ({ publicOnly }: Pick<AwsCredentials, "publicOnly">, meter?: Meter) => {
  const { http, https } = agentsFor({ publicOnly: publicOnly ?? false, meter })
  return { maxAttempts: 5, requestHandler: { connectionTimeout: 10_000, socketTimeout: 120_000, httpAgent: http, httpsAgent: https } }
}
