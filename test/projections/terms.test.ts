import { describe, expect, it } from "vitest"
import { hasWanted, labelTerms, termOf, wordsOf, wordTerms } from "../../projections/terms.ts"

describe("words that rows are found by", () => {
  it("are runs of letters and digits in lower case, each once, and an id is one of them", () => {
    expect(wordsOf("Web-Server web_2 Grün 01890000-0000-7000-8000-000000000001"))
      .toEqual(["web", "server", "2", "grün", "01890000-0000-7000-8000-000000000001"])
  })

  it("belong to one tenant", () => {
    expect(hasWanted(wordTerms("acme", "web"), { terms: [], beginnings: wordTerms("birch", "web") })).toBe(false)
    expect(hasWanted(wordTerms("acme", "webserver"), { terms: [], beginnings: wordTerms("acme", "web") })).toBe(true)
  })

  it("tell a label from a word and a label's name from its value", () => {
    const terms = labelTerms("acme", { team: "web" })
    expect(terms).toEqual([termOf("acme", "label", "team"), termOf("acme", "label", "team=web")])
    expect(hasWanted(terms, { terms: [termOf("acme", "label", "team=we")], beginnings: [] })).toBe(false)
  })

  it("stay below what an index takes, however long a text is", () => {
    expect(termOf("acme", "label", "x".repeat(9999)).length).toBeLessThan(400)
    expect(wordsOf(Array.from({ length: 9999 }, (_, at) => `w${at}`).join(" ")).length).toBe(200)
  })
})
