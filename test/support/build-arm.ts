/** For a test: builds an image of aarch64 in the folder named, and says what became of it. Runs where programs of it do. */
import { Result } from "effect"
import { built, typedSpec } from "../infra/debian/real.ts"

const spec = typedSpec("container", { hostname: "arm" })
const result = await built({ ...spec, image: { ...spec.image, architecture: "aarch64" } }, process.argv[2]!)
console.log(JSON.stringify(Result.isSuccess(result) ? { path: result.success.path } : { failed: result.failure }))
