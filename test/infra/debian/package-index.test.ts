import { describe, expect, it } from "vitest"
import { catalogueOf, searchIn } from "../../../infra/debian/package-index.ts"

const lines = [
  "curl\t8.1\tweb\tcommand line tool — für URLs",
  "libcurl4\t8.1\tlibs\tlibrary",
  "python3-pycurl\t7\tpython\tcurl for Python",
  "wget\t1\tweb\tlike curl"
]
const catalogue = catalogueOf("r1", Buffer.from(`${lines.join("\n")}\n`))
const names = (search: string, limit = 10) => searchIn(catalogue, search, limit).map(({ name }) => name)

describe("a search for packages", () => {
  it("finds names that contain the word, the equal one first, then those that begin with it", () => {
    expect(names("curl")).toEqual(["curl", "libcurl4", "python3-pycurl"])
    expect(names("libc")).toEqual(["libcurl4"])
  })
  it("does not look into summaries", () => expect(names("like")).toEqual([]))
  it("gives version, section and summary", () =>
    expect(searchIn(catalogue, "curl", 1)).toEqual([
      { name: "curl", version: "8.1", section: "web", summary: "command line tool — für URLs" }
    ]))
  it("gives at most what was asked for", () => expect(names("", 2)).toEqual(["curl", "libcurl4"]))
  it("finds nothing for what no name contains", () => expect(names("zzz")).toEqual([]))
  it("cannot be led across the end of a name", () => expect(names("curl\nlib")).toEqual([]))
  it("works on an empty index", () => expect(searchIn(catalogueOf("r0", Buffer.alloc(0)), "a", 5)).toEqual([]))
})
