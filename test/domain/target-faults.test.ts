import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { targetFaults } from "../../domain/target-faults.ts"
import { Target, type TargetType } from "../../domain/target.ts"

const of = (type: TargetType) => ({ type, region: "eu-central-1" }) as Target
const every: ReadonlyArray<TargetType> = ["file", "s3", "aws", "gcp", "azure", "oci"]

describe("where an image can go", () => {
  it("a disk goes everywhere that there is a way to", () => {
    assert.deepStrictEqual(targetFaults(every.map(of), true, () => true), [])
    assert.deepStrictEqual(targetFaults(every.map(of), true, (type) => type !== "azure"), [{ path: "targets[4].type", message: "nothing here delivers to azure" }])
  })
  it("what is no disk goes to what keeps files, and to no cloud's machines", () =>
    assert.deepStrictEqual(targetFaults(every.map(of), false, () => true).map(({ path }) => path), ["targets[2].type", "targets[3].type", "targets[4].type"]))
  it("an AMI has no tags that AWS keeps for itself; other clouds take them", () => {
    const tagged = (type: TargetType) => ({ ...of(type), tags: { team: "a", "aws:x": "1", "AWS:y": "2", "my:aws:z": "3" } }) as Target
    assert.deepStrictEqual(targetFaults([tagged("azure"), tagged("aws")], true, () => true), [
      { path: "targets[1].tags", message: "\"aws:x\" begins with aws:, which AWS keeps for itself" },
      { path: "targets[1].tags", message: "\"AWS:y\" begins with aws:, which AWS keeps for itself" }
    ])
  })
  it("an AMI goes to regions whose names AWS could have given, and Google's are kept where Google's regions could be", () => {
    const pathsOf = (target: object) => targetFaults([target as Target], true, () => true).map(({ path }) => path)
    const aws = (region: string, ...copy_to_regions: ReadonlyArray<string>) => pathsOf({ type: "aws", bucket: "images", region, copy_to_regions })
    const there = ["us-east-1", "eu-central-1", "ap-northeast-3", "ap-southeast-7", "cn-northwest-1", "us-gov-west-1", "us-isob-east-1", "eusc-de-east-1", "mx-central-1", "il-central-1"]
    for (const region of there) assert.deepStrictEqual([Schema.is(Target)({ type: "aws", bucket: "images", region }), aws(region)], [true, []], region)
    assert.deepStrictEqual(aws("eu-centrl-1"), ["targets[0].region"])
    assert.deepStrictEqual(aws("eu-central-1", "us-east-1", "us-eats-2"), ["targets[0].copy_to_regions[1]"])
    const google = (location: string) => pathsOf({ type: "gcp", bucket: "images", location })
    for (const location of ["eu", "us", "asia", "europe-west3", "northamerica-northeast2", "us-central1", "me-central2", "africa-south1"]) assert.deepStrictEqual(google(location), [], location)
    for (const location of ["europe", "europe-wset3", "eu-central1", "west"]) assert.deepStrictEqual(google(location), ["targets[0].location"], location)
  })
  it("Kiln's own store is always there", () => assert.deepStrictEqual(targetFaults([of("file")], false, () => false), []))
})

describe("a target's names", () => {
  const isTarget = Schema.is(Target)
  const s3 = (change: object) => isTarget({ type: "s3", bucket: "images", ...change })
  it("are those that the clouds take", () => {
    for (const bucket of ["abc", "my-images.example", "1a3", "a".repeat(63)]) assert.isTrue(s3({ bucket }), bucket)
    for (const bucket of ["ab", "Images", "a..b", "a.-b", "-ab", "ab-", "192.168.1.1", "xn--abc", "a_b", "abc-s3alias", "a".repeat(64), "../etc"]) assert.isFalse(s3({ bucket }), bucket)
    for (const region of ["eu-central-1", "us-gov-west-1", "me-south-1"]) assert.isTrue(isTarget({ type: "aws", bucket: "images", region }), region)
    for (const region of ["eu-central", "EU-CENTRAL-1", "moon", "eu central 1"]) assert.isFalse(isTarget({ type: "aws", bucket: "images", region }), region)
    for (const prefix of ["a/", "a/b/c-", "disk"]) assert.isTrue(s3({ prefix }), prefix)
    for (const prefix of ["/a", "../a", "a/../b", "./a", "a b", ""]) assert.isFalse(s3({ prefix }), prefix)
  })
})
