/** For tests of who uses it: whatever is booted comes out as it is said, or, where nothing is said, never ends. */
import { Effect, Layer } from "effect"
import { type Booted, type BootOrder, ImageTests } from "../../domain/ports/image-tests.ts"

export const ImageTestsInMemory = (boot: (order: BootOrder) => Booted | undefined, impossible?: string) =>
  Layer.succeed(ImageTests, ImageTests.of({
    impossible: () => Effect.succeed(impossible),
    boot: (order, _, report) => Effect.suspend(() => {
      const booted = boot(order)
      if (booted === undefined) return Effect.never
      report.progress({ stage: "userspace", percent: 50 })
      report.line(booted.console)
      return Effect.succeed(booted)
    })
  }))
