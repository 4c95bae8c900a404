/** The page blobs of Azurite, a server that is not ours. It takes 360 MB to install, so it is asked for. */
import { assert, describe, it } from "@effect/vitest"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { Effect, Fiber, Schedule } from "effect"
import { convert } from "../../../infra/formats/convert.ts"
import { freePort } from "../../../infra/process/free-port.ts"
import { ensureBlob, removeBlob } from "../../../infra/targets/azure/blob.ts"
import { clients } from "../../../infra/targets/azure/clients.ts"
import { journalAt } from "../../../infra/targets/journals.ts"
import { deliveryOf, newJournal } from "../../support/deliver.ts"
import { needs, skipWhere } from "../../support/needs.ts"

const home = process.env["KILN_TEST_AZURITE"]
const MiB = 2 ** 20
/** Everybody's: Azurite knows one account unless it is told of others. */
const account = "devstoreaccount1"
const key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

const azurite = Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "kiln-azurite-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const port = yield* freePort
  yield* Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [
      join(home!, "node_modules/azurite/dist/src/blob/main.js"), "--blobHost", "127.0.0.1", "--blobPort", String(port), "--location", dir, "--skipApiVersionCheck", "--disableTelemetry", "--silent"
    ], { stdio: "ignore" })),
    (server) => Effect.promise(async () => {
      server.kill()
      await once(server, "exit")
    })
  )
  yield* Effect.tryPromise(() => new Promise<void>((resolve, reject) => {
    const socket = createConnection(port, "127.0.0.1", () => {
      socket.destroy()
      resolve()
    }).on("error", reject)
  })).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
  return { dir, endpoint: `http://127.0.0.1:${port}/${account}` }
})

describe("a page blob in Azurite", () => {
  skipWhere(home === undefined, "KILN_TEST_AZURITE names no folder with an installation of Azurite")
  needs("qemu-img")

  it.live("has the bytes of the conversion after an upload that was cut off, and is found and removed", () =>
    Effect.gen(function*() {
      const { dir, endpoint } = yield* azurite
      const [path, vhd] = [join(dir, "disk.raw"), join(dir, "disk.vhd")]
      const file = yield* Effect.promise(() => open(path, "w"))
      yield* Effect.promise(async () => {
        await file.truncate(64 * MiB + 4096)
        for (const at of [0, 9, 22, 40, 55]) await file.write(randomBytes(5 * MiB), 0, 5 * MiB, at * MiB + 512)
        await file.close()
      })
      yield* convert({ path, format: "raw" }, { path: vhd, format: "vhd" })
      const target = {
        type: "azure", subscription: "5b1d4f1e-0000-4000-8000-000000000003", resource_group: "images", location: "westeurope", storage_account: account, container: "images"
      } as const
      const credentials = { provider: "azure", tenant_id: "unused", client_id: "unused", client_secret: "unused", storage_key: key, endpoints: { blob: endpoint } } as const
      const azure = yield* clients(target, credentials, { pauseMs: 10, pollMs: 10, workers: 4 })
      yield* Effect.promise(() => azure.container.create())
      const delivery = yield* Effect.promise(() => deliveryOf({ target, credentials, path }))
      const journal = yield* journalAt(newJournal(dir))

      let pages = 0
      const cut = Promise.withResolvers<void>()
      const noting = { ...journal, note: (step: string, value: unknown) => Effect.tap(journal.note(step, value), () => Effect.sync(() => {
        if (step.startsWith("pages/") && ++pages === 3) cut.resolve()
      })) }
      const first = yield* Effect.forkChild(Effect.exit(ensureBlob(azure, delivery, noting, { progress: () => {}, line: () => {} })))
      yield* Effect.promise(() => cut.promise)
      yield* Fiber.interrupt(first)
      const sentFirst = journal.read("sent") as number

      const url = yield* ensureBlob(azure, delivery, journal, { progress: () => {}, line: () => {} })
      assert.isAbove(sentFirst, 0)
      assert.isBelow(journal.read("sent") as number, 40 * MiB)
      const name = url.slice(url.lastIndexOf("/") + 1)
      const blob = azure.container.getPageBlobClient(name)
      const back = join(dir, "back.vhd")
      yield* Effect.promise(() => blob.downloadToFile(back))
      assert.isTrue(readFileSync(back).equals(readFileSync(vhd)))
      const properties = yield* Effect.promise(() => blob.getProperties())
      assert.deepInclude(properties.metadata, { kiln_whole: "yes", kiln_tenant: "acme", kiln_delivery: delivery.deliveryId })
      for (const _ of [1, 2]) yield* removeBlob(azure, name)
      assert.isFalse(yield* Effect.promise(() => blob.exists()))
    }), 180_000)
})
