/** What a registry is told of an image, as OCI's image format 1.1 has it. Pure. */
import type { Artifact } from "./artifact.ts"
import type { Marks } from "./ports/image-targets.ts"

export const manifestType = "application/vnd.oci.image.manifest.v1+json"
export const indexType = "application/vnd.oci.image.index.v1+json"
export const diskType = "application/vnd.kiln.disk-image.v1"
/** Of what says whose delivery a manifest belongs to. */
export const deliveryType = "application/vnd.kiln.delivery.v1"

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface RegistryManifest {
  readonly schemaVersion: 2
  readonly mediaType: string
  readonly artifactType?: string
  readonly config: Descriptor
  readonly layers: ReadonlyArray<Descriptor>
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

export const emptyText = "{}"
export const emptyDescriptor: Descriptor = {
  mediaType: "application/vnd.oci.empty.v1+json",
  digest: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  size: 2
}

const titled = (title: string) => ({ annotations: { "org.opencontainers.image.title": title } })

/** A container's archive is an image of a registry already, every other artifact becomes one. */
export const isContainer = ({ format }: Pick<Artifact, "format">): boolean => format === "oci"

/** Follows from the artifact alone: whoever has to sign its digest need not be told it. */
export const diskManifest = ({ digest, filename, mediaType, size }: Artifact): RegistryManifest => ({
  schemaVersion: 2, mediaType: manifestType, artifactType: diskType, config: emptyDescriptor,
  layers: [{ mediaType: bareType(mediaType), digest, size, ...titled(filename) }]
})

export interface Attached {
  readonly artifactType: string
  readonly annotations: Readonly<Record<string, string>>
  /** Of the document's bytes; without one there is nothing but what the annotations say. */
  readonly document?: { readonly name: string; readonly digest: string; readonly size: number }
}

/** Something that is said of the image `subject`. */
export const referrerManifest = ({ annotations, artifactType, document }: Attached, subject: Descriptor): RegistryManifest => ({
  schemaVersion: 2, mediaType: manifestType, artifactType: bareType(artifactType), config: emptyDescriptor,
  layers: [document === undefined ? emptyDescriptor : { mediaType: bareType(artifactType), digest: document.digest, size: document.size, ...titled(document.name) }],
  subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
  annotations
})

/** Registries take no parameters in a type. */
const bareType = (mediaType: string) => mediaType.replace(/\s*;.*$/, "")

/** Where those are listed in a registry without an API for them. */
export const referrersTag = (subject: string): string => subject.replace(":", "-")
export const subjectOfTag = (tag: string): string | undefined => /^sha256-[0-9a-f]{64}$/.test(tag) ? tag.replace("-", ":") : undefined

const names = { deployment: "dev.kiln.deployment", tenantId: "dev.kiln.tenant", composeId: "dev.kiln.compose", jobId: "dev.kiln.job" } as const

export const annotationsOf = (marks: Marks): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(names).map(([field, name]) => [name, marks[field as keyof typeof names]]))

/** `undefined` of what this deployment has not made. */
export const marksOf = (annotations: Readonly<Record<string, string>> | undefined, deployment: string): Marks | undefined => {
  const found = Object.fromEntries(Object.entries(names).map(([field, name]) => [field, annotations?.[name]]))
  return Object.values(found).every((value) => value !== undefined && value !== "") && found["deployment"] === deployment
    ? found as unknown as Marks : undefined
}
