/** A gateway on a real port over in-memory ports, and short words for speaking to it. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Logger, ManagedRuntime } from "effect"
import { HttpServer } from "effect/http"
import { Catalog } from "../../../apps/gateway/catalog.ts"
import { GatewayConfig } from "../../../apps/gateway/config.ts"
import { gatewayOn } from "../../../apps/gateway/gateway.ts"
import { PoolScope, TenantId } from "../../../domain/ids.ts"
import type { DistributionInfo } from "../../../domain/ports/image-builder.ts"
import { CredentialSets } from "../../../domain/ports/credential-sets.ts"
import { credentialSetsFile } from "../../../infra/credentials/credential-sets-file.ts"
import { ImageTargetsHere } from "../../../infra/targets/targets.ts"
import { LocalIssuer, type Role, Tokens } from "../../../domain/ports/tokens.ts"
import { ArtifactsFiles } from "../../../infra/files/artifacts-files.ts"
import { LocalIssuerFiles, trustLocal } from "../../../infra/jose/local-issuer.ts"
import { TokensJose } from "../../../infra/jose/tokens-jose.ts"
import { AdvisoriesNone } from "../../../infra/evidence/security-tracker.ts"
import { AttesterFiles } from "../../../infra/keys/attester-files.ts"
import { SealerFiles } from "../../../infra/keys/sealer-files.ts"
import { SignerFiles } from "../../../infra/keys/signer-files.ts"
import { BlobsInMemory } from "../../../infra/memory/blobs.ts"
import { ComposeQueriesInMemory } from "../../../infra/memory/compose-queries.ts"
import { EventLogInMemory } from "../../../infra/memory/event-log.ts"
import { IdempotencyInMemory } from "../../../infra/memory/idempotency.ts"
import { JobFeedInMemory } from "../../../infra/memory/job-feed.ts"
import { ParkedInMemory } from "../../../infra/memory/parked.ts"
import { RateLimitsInMemory } from "../../../infra/memory/rate-limits.ts"
import { RowsInMemory } from "../../../infra/memory/rows-in-memory.ts"
import { RunningJobsInMemory } from "../../../infra/memory/running-jobs.ts"
import { SchedulingInMemory } from "../../../infra/memory/scheduling.ts"
import { SnapshotsInMemory } from "../../../infra/memory/snapshots.ts"
import { StoredFilesInMemory } from "../../../infra/memory/stored-files.ts"
import { WebhookLogNone } from "../../../infra/memory/webhook-log.ts"
import { PackageIndexInMemory } from "../../../infra/memory/package-index.ts"

const guestImage = { type: "guest-image", description: "For virtual machines", options: ["size_bytes", "filesystem", "mountpoints"], bootable: true }
const simulated = { type: "simulated", description: "Builds nothing", options: ["duration_ms", "lines"], bootable: false }

export const distributions: ReadonlyArray<DistributionInfo> = [
  {
    id: "debian-13", name: "Debian 13", builder: "debian", resolves: true, reproducible: true, filesByDigest: true,
    architectures: [{ architecture: "x86_64", imageTypes: [guestImage] }]
  },
  {
    id: "test-distro-1", name: "Test", builder: "simulated", resolves: false,
    architectures: [{ architecture: "x86_64", imageTypes: [simulated] }, { architecture: "aarch64", imageTypes: [simulated] }]
  }
]

const packages = ["vim", "vim-tiny", "neovim", "nginx"].map((name) => ({ name, version: "1.0", summary: `The ${name}`, section: "editors" }))

const portsIn = (folder: string) => {
  const issuer = LocalIssuerFiles(folder)
  return Layer.mergeAll(
    Layer.provideMerge(Layer.mergeAll(ComposeQueriesInMemory, RunningJobsInMemory, RowsInMemory), EventLogInMemory),
    IdempotencyInMemory,
    SnapshotsInMemory,
    RateLimitsInMemory,
    SchedulingInMemory,
    ParkedInMemory,
    WebhookLogNone,
    JobFeedInMemory,
    BlobsInMemory,
    StoredFilesInMemory,
    ArtifactsFiles(join(folder, "artifacts")),
    SealerFiles(join(folder, "keys")),
    SignerFiles(join(folder, "keys")),
    AttesterFiles(join(folder, "keys")),
    AdvisoriesNone,
    Layer.succeed(CredentialSets, CredentialSets.of(credentialSetsFile({ file: undefined, privateEndpoints: true }))),
    ImageTargetsHere,
    Layer.provideMerge(Layer.unwrap(Effect.map(LocalIssuer, (local) => TokensJose([trustLocal(local)]))), issuer),
    PackageIndexInMemory(packages),
    Layer.succeed(Catalog, { distributions })
  )
}

type Ports = Layer.Success<ReturnType<typeof portsIn>>

export interface Gateway {
  readonly url: string
  readonly folder: string
  /** What the process has logged, a line each. */
  readonly logged: ReadonlyArray<string>
  /** Runs with the ports that the gateway has. */
  run<A, E>(effect: Effect.Effect<A, E, Ports>): Promise<A>
  token(options?: { tenant?: string; role?: Role; ttl?: number; pool?: string; subject?: string }): Promise<string>
  /** With a token of tenant `acme`, unless another is given. */
  call(path: string, init?: RequestInit & { token?: string | null }): Promise<Response>
  post(body: unknown, headers?: Record<string, string>, token?: string): Promise<Response>
  close(): Promise<void>
}

/** `instead` replaces some of the ports. */
export const openGateway = async (
  config: Partial<GatewayConfig> = {},
  instead: Layer.Layer<never> | Layer.Layer<Ports> = Layer.empty
): Promise<Gateway> => {
  const folder = mkdtempSync(join(tmpdir(), "kiln-gateway-"))
  const logged: Array<string> = []
  const settings = Layer.succeed(GatewayConfig, { linkTtl: 3_600_000, slow: 5000, keepAlive: 15_000, operatorTenant: "default", storedFileBytes: 2 ** 20, storedFilesBytes: 2 ** 21, ...config })
  const layer = gatewayOn({ port: 0 }).pipe(Layer.provideMerge(Layer.merge(portsIn(folder), instead)), Layer.provide(settings),
    Layer.provideMerge(Logger.layer([Logger.map(Logger.formatJson, (line) => logged.push(line))])))
  const runtime = ManagedRuntime.make(layer)
  const url = await runtime.runPromise(Effect.map(HttpServer.HttpServer, ({ address }) =>
    `http://127.0.0.1:${address._tag === "UnixPathAddress" ? 0 : address.port}`))

  const token: Gateway["token"] = ({ tenant = "acme", role = "requester", ttl = 60_000, pool, subject = "anna" } = {}) =>
    runtime.runPromise(Effect.flatMap(LocalIssuer, (issuer) =>
      issuer.sign({ tenantId: TenantId.make(tenant), role, subject, ttl, pool: pool === undefined ? undefined : PoolScope.make(pool) })))
  const usual = await token({ ttl: 3_600_000 })

  const call: Gateway["call"] = (path, { token: given = usual, headers, ...init } = {}) =>
    fetch(path.startsWith("http") ? path : `${url}${path}`, {
      ...init,
      headers: { ...(given !== null && { authorization: `Bearer ${given}` }), ...headers as Record<string, string> }
    })

  return {
    url,
    folder,
    logged,
    run: (effect) => runtime.runPromise(effect as Effect.Effect<never>),
    token,
    call,
    post: (body, headers = {}, given = usual) =>
      call("/api/kiln/v1/composes", {
        method: "POST", token: given, headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" || body instanceof Uint8Array ? body as string : JSON.stringify(body)
      }),
    close: async () => {
      await runtime.dispose()
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

export const api = "/api/kiln/v1"

/** Tests have a job of their own; see boots.test.ts. */
export const anImage = { architecture: "x86_64", type: "guest-image", test: false }
export const aRequest = { distribution: "debian-13", name: "web server", labels: { team: "web" }, images: [anImage] }

export { Tokens }
