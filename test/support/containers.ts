/** The same servers in containers, by an engine that answers; the images can be named. */
import { Effect, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { connect } from "node:net"
import postgres from "postgres"
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from "testcontainers"
import { natsConfig } from "../../infra/nats-server/config.ts"
import { natsCredentials } from "../../infra/nats-server/credentials.ts"
import { freePort } from "../../infra/process/free-port.ts"
import { pause } from "../../infra/process/poll.ts"
import { temporaryFolder } from "./servers-mode.ts"

export class NoEngine extends Schema.TaggedError<NoEngine>()("NoEngine", { message: Schema.String }) {}

// The scopes remove the containers; the reaper would be one more image to pull.
process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true"

const natsImage = process.env["KILN_TEST_NATS_IMAGE"] ?? "nats:2"
const postgresImage = process.env["KILN_TEST_POSTGRES_IMAGE"] ?? "postgres:18"

const started = (image: string, make: (container: GenericContainer) => GenericContainer) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        await getContainerRuntimeClient()
        return make(new GenericContainer(image)).start()
      },
      catch: (error) => new NoEngine({ message: `KILN_TEST_SERVERS=containers was asked for, but ${why(image, error)}` })
    }),
    (container: StartedTestContainer) => Effect.promise(() => container.stop({ timeout: 0 }))
  )

const why = (image: string, error: unknown) =>
  String(error).includes("Could not find a working container runtime")
    ? "no container engine answers: start one, or set DOCKER_HOST"
    : `the image ${image} does not start: ${String((error as Error).message ?? error)}`

/** A fixed port, since a container that is started again would get another one. */
export const natsInContainer = Effect.gen(function*() {
  const credentials = yield* natsCredentials(yield* temporaryFolder)
  const port = yield* freePort
  const content = natsConfig({ host: "0.0.0.0", port: 4222, monitorPort: 8222, storeDir: "/data", durable: false, credentials })
  const container = yield* started(natsImage, (nats) =>
    nats.withExposedPorts({ container: 4222, host: port }).withCommand(["-c", "/kiln.conf"])
      .withCopyContentToContainer([{ content, target: "/kiln.conf" }])
      .withWaitStrategy(Wait.forLogMessage("Server is ready")))
  const ready = untilAnswers(greets(container.getHost(), port))
  yield* ready
  return {
    url: `nats://${container.getHost()}:${port}`,
    credentials,
    restart: Effect.andThen(Effect.promise(() => container.restart({ timeout: 0 })), ready)
  }
})

export const postgresInContainer = Effect.gen(function*() {
  const password = randomBytes(16).toString("hex")
  const container = yield* started(postgresImage, (server) =>
    server.withExposedPorts(5432)
      .withEnvironment({ POSTGRES_USER: "kiln", POSTGRES_PASSWORD: password, POSTGRES_DB: "kiln" })
      .withCommand(["postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"])
      .withWaitStrategy(Wait.forLogMessage("ready to accept connections")))
  const url = `postgres://kiln:${password}@${container.getHost()}:${container.getMappedPort(5432)}/kiln`
  yield* untilAnswers(answers(url))
  return url
})

const untilAnswers = (ask: Effect.Effect<void, unknown>) =>
  ask.pipe(Effect.tapError(() => pause(50)), Effect.retry({ times: 400 }), Effect.orDie)

/** The engine's proxy accepts connections while nobody listens behind it; the server's first line is the server's. */
const greets = (host: string, port: number) =>
  Effect.callback<void, string>((resume) => {
    const socket = connect({ host, port, timeout: 500 })
    const answer = (effect: Effect.Effect<void, string>) => () => {
      socket.destroy()
      resume(effect)
    }
    socket.once("data", answer(Effect.void))
    for (const event of ["error", "timeout", "close"]) socket.once(event, answer(Effect.fail(event)))
    return Effect.sync(() => socket.destroy())
  })

/** The image says it is ready once too often: first for a server of its own set-up, which no port leads to. */
const answers = (url: string) =>
  Effect.tryPromise(async () => {
    const sql = postgres(url, { max: 1, connect_timeout: 2 })
    try {
      await sql`select 1`
    } finally {
      await sql.end({ timeout: 1 })
    }
  })
