/** Where an image goes. Names of fields are those of the clouds' own APIs where they have one. */
import { Schema } from "effect"
import { line, list, matching } from "./text.ts"

const optional = Schema.optionalKey

/** Of a set of credentials that the tenant holds, or that an operator has given to workers. */
export const CredentialsName = matching(/^[a-z0-9][a-z0-9-]{0,39}$/u, "the name of a set of credentials: at most 40 lower-case letters, digits and hyphens")
const credentials = { credentials: optional(CredentialsName) }

export const BucketName = matching(
  /^(?!.*(\.\.|\.-|-\.))(?!(\d{1,3}\.){3}\d{1,3}$)(?!xn--)(?!.*-s3alias$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/u,
  "the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens"
)
export const AwsRegion = matching(/^[a-z]{2,4}(-[a-z]{2,10}){1,2}-[0-9]{1,2}$/u, "a region of AWS, such as eu-central-1")
const AwsAccount = matching(/^[0-9]{12}$/u, "the id of an AWS account: 12 digits")
const AwsOrganization = matching(/^arn:aws[a-z-]*:organizations::[0-9]{12}:(organization|ou)\/[a-z0-9/-]{1,100}$/u, "the ARN of an organization or an organizational unit")
const Tags = Schema.Record(line(128), Schema.String.check(Schema.isMaxLength(256))).check(Schema.isMaxProperties(32))

/** Kiln's own store. */
export const FileTarget = Schema.Struct({ type: Schema.Literal("file") })

/** Any store that speaks S3; which one is said by its credentials. */
export const S3Target = Schema.Struct({
  type: Schema.Literal("s3"),
  ...credentials,
  region: optional(matching(/^[a-z0-9][a-z0-9-]{0,39}$/u, "the name of a region")),
  bucket: BucketName,
  /** Before the object's name; nothing but what is written here is put between. */
  prefix: optional(matching(/^(?!\/)(?!.*(^|\/)\.{1,2}(\/|$))[A-Za-z0-9!_.*'()/-]{1,500}$/u, "a prefix of letters, digits and ! _ . * ' ( ) / -"))
})

/** An AMI. */
export const AwsTarget = Schema.Struct({
  type: Schema.Literal("aws"),
  ...credentials,
  region: AwsRegion,
  /** For the upload, in the same region; the object goes once it is imported. */
  bucket: BucketName,
  name: optional(matching(/^[A-Za-z0-9()[\] ./'@_-]{3,128}$/u, "the name of an AMI: 3 to 128 letters, digits and ( ) [ ] . / - ' @ _")),
  description: optional(line(255)),
  boot_mode: optional(Schema.Literals(["legacy-bios", "uefi", "uefi-preferred"])),
  /** That of the service that imports; `vmimport` unless said. */
  role: optional(matching(/^[A-Za-z0-9+=,.@_-]{1,64}$/u, "the name of a role")),
  share_with_accounts: optional(list(AwsAccount, 100)),
  share_with_organizations: optional(list(AwsOrganization, 100)),
  copy_to_regions: optional(list(AwsRegion, 30)),
  tags: optional(Tags)
})

/** An image of Compute Engine. */
export const GcpTarget = Schema.Struct({
  type: Schema.Literal("gcp"),
  ...credentials,
  project: optional(matching(/^([a-z0-9.-]{1,100}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/u, "the id of a project")),
  bucket: BucketName,
  /** Where the image's bytes are kept: a region, or eu, us, asia. */
  location: optional(matching(/^[a-z]{2,20}(-[a-z]{3,20}[0-9]{1,2})?$/u, "a region of Google Cloud, such as europe-west3")),
  name: optional(matching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/u, "the name of an image: at most 63 lower-case letters, digits and hyphens, a letter first")),
  family: optional(matching(/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/u, "the name of a family: at most 63 lower-case letters, digits and hyphens, a letter first")),
  description: optional(line(2048)),
  guest_os_features: optional(list(matching(/^[A-Z][A-Z0-9_]{1,60}$/u, "a feature, such as GVNIC"), 20)),
  share_with: optional(list(matching(/^(user|serviceAccount|group|domain):[A-Za-z0-9._%+@-]{1,200}$/u, "user:, serviceAccount:, group: or domain: and who"), 100)),
  labels: optional(Schema.Record(matching(/^[a-z][a-z0-9_-]{0,62}$/u, "a label's name"), matching(/^[a-z0-9_-]{0,63}$/u, "a label's value")).check(Schema.isMaxProperties(32)))
})

const uuid = matching(/^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/u, "a UUID")
const AzureRegion = matching(/^[a-z]{3,30}[0-9]{0,2}$/u, "a region of Azure, such as westeurope")
const GalleryName = matching(/^[A-Za-z0-9]([A-Za-z0-9._]{0,78}[A-Za-z0-9])?$/u, "a name of at most 80 letters, digits, dots and underscores")

/** A managed image, or a version in a gallery. */
export const AzureTarget = Schema.Struct({
  type: Schema.Literal("azure"),
  ...credentials,
  subscription: uuid,
  resource_group: matching(/^[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]$/u, "the name of a resource group"),
  location: AzureRegion,
  storage_account: matching(/^[a-z0-9]{3,24}$/u, "the name of a storage account: 3 to 24 lower-case letters and digits"),
  container: matching(/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/u, "the name of a container: 3 to 63 lower-case letters, digits and single hyphens"),
  name: optional(matching(/^[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?$/u, "the name of an image: at most 80 letters, digits, dots, hyphens and underscores")),
  generation: optional(Schema.Literals(["V1", "V2"])),
  gallery: optional(Schema.Struct({
    name: GalleryName,
    image: GalleryName,
    version: optional(matching(/^(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})$/u, "three numbers, such as 1.0.42")),
    regions: optional(list(AzureRegion, 30))
  })),
  tags: optional(Tags)
})

/** A repository in a registry. A container image is pushed as one, a disk as an artifact. */
export const OciTarget = Schema.Struct({
  type: Schema.Literal("oci"),
  ...credentials,
  /** Of the registry, and its port if need be. */
  registry: matching(/^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[0-9]{1,5})?$/u, "the host of a registry, such as registry.example.org"),
  repository: matching(/^[a-z0-9]+([._]{1,2}[a-z0-9]+|-+[a-z0-9]+)*(\/[a-z0-9]+([._]{1,2}[a-z0-9]+|-+[a-z0-9]+)*)*$/u, "the name of a repository, such as team/image")
    .check(Schema.isMaxLength(200)),
  tag: optional(matching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/u, "a tag"))
})

/** All that are not Kiln's own store. */
export const CloudTarget = Schema.Union([S3Target, AwsTarget, GcpTarget, AzureTarget, OciTarget])
export type CloudTarget = typeof CloudTarget.Type

export const Target = Schema.Union([FileTarget, ...CloudTarget.members])
export type Target = typeof Target.Type

export const TargetType = Schema.Literals(Target.members.map(({ fields: { type } }) => type.literal))
export type TargetType = typeof TargetType.Type
export type TargetOf<Type extends TargetType> = Extract<Target, { readonly type: Type }>
