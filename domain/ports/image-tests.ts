import { Context, type Effect } from "effect"
import type { Firmware, TestReport } from "../boot-test.ts"
import type { Architecture } from "../ids.ts"
import type { BuildFailed, Report } from "./image-builder.ts"

export interface BootOrder {
  readonly path: string
  readonly format: string
  readonly architecture: Architecture
  readonly firmware: Firmware
  /** Until it is ready; by how fast this machine emulates unless it is said. */
  readonly timeoutMs?: number
  /** Whether something in the image answers what it is asked; else a login prompt is all that can be waited for. */
  readonly answers: boolean
  /** What to look at. */
  readonly files: ReadonlyArray<string>
  readonly units: ReadonlyArray<string>
  readonly sysctl: ReadonlyArray<string>
  /** A line of each certificate that has to be trusted. */
  readonly certificates?: ReadonlyArray<string>
  /** A program to run at the end. */
  readonly script?: string
}

/** What a booted machine says of itself. */
export interface Facts {
  /** As systemd calls it: `running`, `degraded`. */
  readonly state: string
  readonly failed: ReadonlyArray<{ readonly unit: string; readonly said: string }>
  readonly hostname: string
  /** Where `/etc/localtime` leads. */
  readonly localtime: string
  readonly locale: string
  readonly kernelArguments: string
  readonly users: ReadonlyMap<string, { readonly uid: number; readonly gid: number; readonly home: string; readonly shell: string }>
  readonly groups: ReadonlyMap<string, { readonly gid: number; readonly members: ReadonlyArray<string> }>
  /** Versions of installed packages. */
  readonly packages: ReadonlyMap<string, string>
  /** Such as `22:tcp`. */
  readonly listening: ReadonlySet<string>
  /** By the names that were asked for; as systemd's `Load`, `Active`, `Result` and `UnitFileState` have it. */
  readonly units: ReadonlyMap<string, { readonly load: string; readonly active: string; readonly result: string; readonly file: string }>
  /** Of those that are there. `sha256`: of a file that nothing has written to since the machine began. */
  readonly files: ReadonlyMap<string, {
    readonly mode: string
    readonly user: string
    readonly group: string
    readonly uid: number
    readonly gid: number
    readonly sha256?: string
  }>
  readonly sysctl: ReadonlyMap<string, string>
  /** Lines of `authorized_keys`, by user. */
  readonly keys: ReadonlyMap<string, ReadonlyArray<string>>
  /** What sudo says of those that may use it because the request says so. */
  readonly sudo: ReadonlyMap<string, ReadonlyArray<string>>
  /** Of the lines that were asked for, those in the bundle of trusted certificates. */
  readonly certificates: ReadonlySet<string>
  /** Lines of the files and programs that have these settings. */
  readonly keyboard: ReadonlyArray<string>
  readonly timeServers: ReadonlyArray<string>
  readonly firewall: ReadonlyArray<string>
  /** Of `/etc/services`: names of ports. */
  readonly services: ReadonlyArray<string>
  readonly environment: ReadonlyArray<string>
  readonly script?: { readonly exit: number; readonly output: string }
}

export interface Booted {
  readonly accelerator: TestReport["accelerator"]
  /** Absent if it never was. */
  readonly readyMs?: number
  readonly tookMs: number
  /** Why it was never ready, or cannot be asked. */
  readonly problem?: string
  /** Absent where nothing in the image answers. */
  readonly facts?: Facts
  readonly console: string
  /** PNG. */
  readonly screenshot?: Uint8Array
}

/** Boots finished images, each in a machine that is thrown away. */
export class ImageTests extends Context.Service<ImageTests, {
  /** Why such an image cannot be booted here, as one sentence; `undefined` when it can. */
  impossible(order: Pick<BootOrder, "architecture" | "firmware" | "format">): Effect.Effect<string | undefined>
  /**
   * A machine that is never ready is an answer, not a failure. The image itself is not changed; what the machine writes
   * lies in the workspace. Interruption ends the machine. `report` hears the console, and percent of this one boot.
   */
  boot(order: BootOrder, workspace: string, report: Report): Effect.Effect<Booted, BuildFailed>
}>()("domain/ports/ImageTests") {}
