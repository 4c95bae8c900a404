/** A worker's targets and sets of credentials, as a test wants them. */
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { ConvertedImages } from "../../domain/ports/converted-images.ts"
import { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { type ImageTarget, ImageTargets } from "../../domain/ports/image-targets.ts"
import { Journals } from "../../domain/ports/journals.ts"
import type { Target } from "../../domain/target.ts"
import { credentialSetsFile } from "../../infra/credentials/credential-sets-file.ts"
import { ConvertedImagesCache } from "../../infra/formats/converted-images-cache.ts"
import { JournalsFiles } from "../../infra/targets/journals.ts"

export interface TargetsOfTest {
  /** An operator's sets of credentials. */
  readonly credentialsFile?: string
  /** What delivers to anything but Kiln's own store. */
  readonly targets?: ReadonlyArray<Pick<ImageTarget, "type">>
}

/** `dir`: for journals and conversions; without one nothing can be uploaded. */
export const targetsOfTest = ({ credentialsFile, targets = [] }: TargetsOfTest = {}, dir?: string) =>
  Layer.mergeAll(
    Layer.succeed(CredentialSets, CredentialSets.of(credentialSetsFile({ file: credentialsFile, privateEndpoints: true }))),
    Layer.succeed(ImageTargets, ImageTargets.of({ get: (type: Target["type"]) => targets.find((target) => target.type === type) as never })),
    dir === undefined ? Layer.succeed(Journals, Journals.of({ open: () => Effect.die("no journals"), close: () => Effect.die("no journals") })) : JournalsFiles(join(dir, "journals")),
    dir === undefined ? Layer.succeed(ConvertedImages, ConvertedImages.of({ take: () => Effect.die("no conversions") })) : ConvertedImagesCache({ dir: join(dir, "cache") })
  )
