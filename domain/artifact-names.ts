/** What a compose's files are called once they lie side by side. */
import type { Artifact } from "./artifact.ts"

interface Delivered extends Pick<Artifact, "digest" | "filename"> {
  readonly image: number
  readonly target: number
}

/** Two targets of one image may hold the same file: it is named once. Images that share a name get their numbers before it. */
export const namedFiles = <File extends Delivered>(delivered: ReadonlyArray<File>): ReadonlyArray<{ readonly file: File; readonly name: string }> => {
  const files = delivered.filter((one, at) => delivered.findIndex(({ digest, image }) => digest === one.digest && image === one.image) === at)
  return files.map((file) => {
    const alone = files.filter(({ filename }) => filename === file.filename).length === 1
    return { file, name: alone ? file.filename : `${file.image}-${file.target}-${file.filename}` }
  })
}
