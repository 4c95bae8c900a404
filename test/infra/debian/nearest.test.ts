import { describe, expect, it } from "vitest"
import { nearestNames } from "../../../infra/debian/nearest.ts"

const names = ["nginx", "nginx-common", "nginx-light", "openssh-server", "postgresql", "postgresql-17"]

describe("a name that does not exist", () => {
  it("is taken for the one it was mistyped from", () =>
    expect(nearestNames(names, "nginx-lihgt")).toEqual(["nginx-light", "nginx"]))
  it("is taken for the longer names it begins", () =>
    expect(nearestNames(names, "openssh")).toEqual(["openssh-server"]))
  it("is taken for the shorter name it goes on from", () =>
    expect(nearestNames(names, "postgresql-99x")).toContain("postgresql"))
  it("is like nothing when it is like nothing", () => expect(nearestNames(names, "zzzzzzzz")).toEqual([]))
})
