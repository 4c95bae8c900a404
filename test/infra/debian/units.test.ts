import { describe, expect, it } from "vitest"
import { broughtUnit, linksOf } from "../../../infra/debian/units.ts"

const unit = (path: string, install: string) => ({
  path,
  data: `[Service]\nExecStart=/bin/true\nWantedBy=no.target\n[Install]\n${install}\n`
})
const hello = unit("/etc/systemd/system/hello.service", "WantedBy=multi-user.target\nAlias=hi.service")
const timer = unit("/usr/lib/systemd/system/tick@.timer", "RequiredBy=timers.target\nDefaultInstance=main")

describe("a unit that comes as a file", () => {
  it("is found by its name, with or without its suffix", () => {
    expect(broughtUnit([hello], "hello")).toBe(hello)
    expect(broughtUnit([hello], "hello.service")).toBe(hello)
    expect(broughtUnit([hello], "other")).toBeUndefined()
    expect(broughtUnit([{ path: "/opt/hello.service", data: "" }], "hello")).toBeUndefined()
  })

  it("is found by its template", () => expect(broughtUnit([timer], "tick@one.timer")).toBe(timer))

  it("is linked where its install section says", () =>
    expect(linksOf("hello", hello)).toEqual([
      { path: "/etc/systemd/system/multi-user.target.wants/hello.service", target: hello.path },
      { path: "/etc/systemd/system/hi.service", target: hello.path }
    ]))

  it("is linked as an instance, or as its default one", () => {
    expect(linksOf("tick@one.timer", timer)).toEqual([
      { path: "/etc/systemd/system/timers.target.requires/tick@one.timer", target: timer.path }
    ])
    expect(linksOf("tick@.timer", timer)).toEqual([
      { path: "/etc/systemd/system/timers.target.requires/tick@main.timer", target: timer.path }
    ])
  })

  it("is linked nowhere else, whatever it says", () =>
    expect(linksOf("hello", unit(hello.path, "WantedBy=../../../etc/cron.d .. . /abs"))).toEqual([]))

  it("takes back what an empty value takes back", () =>
    expect(linksOf("hello", unit(hello.path, "WantedBy=a.target\nWantedBy=\nWantedBy=b.target"))).toEqual([
      { path: "/etc/systemd/system/b.target.wants/hello.service", target: hello.path }
    ]))
})
