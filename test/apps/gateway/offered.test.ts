import { Result, Schema } from "effect"
import { assert, describe, it } from "vitest"
import { offered } from "../../../apps/gateway/offered.ts"
import { ComposeRequest } from "../../../domain/compose-request.ts"
import type { DistributionInfo } from "../../../domain/ports/image-builder.ts"
import { distributionsOf } from "../../../infra/debian/distributions.ts"

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

describe("customizations that mean nothing to an image type", () => {
  const debian = distributionsOf({})
  const decode = Schema.decodeUnknownSync(ComposeRequest)
  const wrong = (types: ReadonlyArray<string>, customizations: object) =>
    Result.match(offered(debian, decode({ distribution: "debian-13", images: types.map((type) => ({ architecture: "x86_64", type })), customizations })), {
      onSuccess: () => [], onFailure: ({ errors }) => (errors ?? []).map(({ message, path }) => `${path}: ${message}`)
    })
  const everything = {
    hostname: "box", timezone: "UTC", locale: "C.UTF-8", keyboard: { layout: "de" }, kernel: { append: "quiet" }, services: { enabled: ["ssh"] }, sysctl: { "a.b": 1 },
    firewall: { ports: ["80:tcp"] }, ntp_servers: ["ntp.example.org"], first_boot: { script: "#!/bin/sh" }, cloud_init: { user_data: "#cloud-config\n" },
    users: [{ name: "ann" }], files: [{ path: "/a", data: "" }], proxy: { http: "http://proxy:3128" }
  }
  const places = (faults: ReadonlyArray<string>) => faults.map((fault) => fault.split(":")[0]!.replace("customizations.", "")).toSorted()

  it("given a machine's image, then all of them mean something", () => assert.deepStrictEqual(wrong(["guest-image", "aws", "live-iso"], everything), []))

  it("given a container, then what takes a kernel, an init or a network of its own is refused, each with its place and the reason", () => {
    assert.deepStrictEqual(places(wrong(["container"], everything)), [
      "cloud_init", "firewall", "first_boot", "hostname", "kernel", "keyboard", "ntp_servers", "services", "sysctl"
    ])
    assert.include(wrong(["container"], { kernel: { append: "quiet" } }), "customizations.kernel: means nothing to images[0], of type container: it runs on the kernel of whoever starts it")
  })

  it("given a system for WSL among others, then it is named by its place, and what its init does is not refused", () => {
    assert.deepStrictEqual(places(wrong(["guest-image", "wsl"], everything)), ["firewall", "kernel", "keyboard", "ntp_servers"])
    assert.match(wrong(["guest-image", "wsl"], everything)[0]!, /images\[1\], of type wsl/)
  })

  it("given user data of another kind than goes beside a cloud's, then it is refused for clouds and taken for others", () => {
    const jinja = { cloud_init: { user_data: "## template: jinja\n#cloud-config\n" } }
    assert.deepStrictEqual(places(wrong(["guest-image", "gcp"], jinja)), ["cloud_init.user_data"])
    assert.deepStrictEqual([wrong(["guest-image"], jinja), wrong(["gcp"], { cloud_init: { user_data: "#!/bin/sh\n" } })], [[], []])
  })
})
