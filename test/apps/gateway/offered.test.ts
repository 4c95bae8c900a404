import { Result } from "effect"
import { assert, describe, it } from "vitest"
import { offered } from "../../../apps/gateway/offered.ts"
import type { ComposeRequest } from "../../../domain/compose-request.ts"
import type { DistributionInfo } from "../../../domain/ports/image-builder.ts"

const appliance: DistributionInfo = {
  id: "appliance-1", name: "Appliance 1", builder: "command", resolves: false, customizations: ["hostname"],
  architectures: [{
    architecture: "x86_64",
    imageTypes: [
      { type: "disk", description: "", bootable: false, options: ["parameters"], parameters: { edition: { one_of: ["small", "large"] }, gib: { minimum: 1, maximum: 8 } } },
      { type: "plain", description: "", bootable: false, options: [] }
    ]
  }]
}
const request = (type: string, parameters: Record<string, string | number>, customizations: ComposeRequest["customizations"] = {}): ComposeRequest =>
  ({ distribution: appliance.id, images: [{ architecture: "x86_64", type, options: { parameters } }], customizations })
const faults = (asked: ComposeRequest) =>
  Result.match(offered([appliance], asked), { onSuccess: () => [], onFailure: ({ errors }) => (errors ?? []).map(({ message, path }) => `${path}: ${message}`) })

describe("a distribution that an operator has added", () => {
  it("given parameters and customizations that it takes, then they pass", () =>
    assert.deepStrictEqual(faults(request("disk", { edition: "small", gib: 8 }, { hostname: "box" })), []))

  it("given parameters that it does not take, then each is named with its place", () =>
    assert.deepStrictEqual(faults(request("disk", { edition: "huge", colour: "red" })), [
      "images[0].options.parameters.edition: must be one of small, large",
      "images[0].options.parameters.colour: no such parameter; there is edition, gib"
    ]))

  it("given parameters for a type that has none, then the option is refused", () =>
    assert.include(faults(request("plain", { edition: "small" })), "images[0].options.parameters: no such option for this image type; there is none"))

  it("given customizations that its builder would leave out, then they are refused, not forgotten", () =>
    assert.deepStrictEqual(faults(request("disk", {}, { hostname: "box", packages: ["jq"] })), [
      "customizations.packages: no such customization for this distribution; there is hostname"
    ]))
})
