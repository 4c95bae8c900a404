import { execFileSync, spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Result } from "effect"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { debianBuilder } from "../../infra/debian/builder.ts"
import { sha256Of } from "../../infra/files/sha256-of.ts"
import { mappedPrefix } from "../../infra/sandbox/ids.ts"
import {
  buildImpossible,
  built,
  buildOf,
  coldCache,
  hearing,
  inTemporary,
  openedDisk,
  resolved,
  sharedCache,
  specOf,
  typedSpec
} from "../infra/debian/real.ts"
import { certificate } from "../support/certificate.ts"
import { hostilePackage, packageName, reportPath } from "../infra/debian/hostile-package.ts"
import { skipWhere } from "../support/needs.ts"

const impossible = await buildImpossible()
skipWhere(impossible !== undefined, impossible ?? "")

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFrEvKHRCpFQkMpSqI9ToHWhxyTTlG8lCvO8hgXU6vB9 ann@example"
const sealed = { keyId: "k", nonce: "n", ciphertext: "c", fingerprint: "f" }
const secrets = new Map([["users.ann.password", "correct horse"]])

/** One of everything, with texts that a shell would take for its own. */
const everything = specOf(
  {
    hostname: "box.example.org",
    timezone: "Europe/Berlin",
    locale: "de_DE.UTF-8",
    packages: ["tree"],
    users: [
      {
        name: "ann",
        password: sealed,
        keys: [key],
        groups: ["adm", "sudo"],
        shell: "/bin/sh",
        home: "/srv/ann",
        uid: 2000,
        gid: 2001,
        description: "Ann, $(reboot)",
        expiredate: "2031-01-31",
        sudo: true
      },
      { name: "root", keys: [key] }
    ],
    groups: [{ name: "devs" }, { name: "ops", gid: 3000 }],
    ntp_servers: ["ntp.example.org"],
    kernel: { append: "mitigations=off isolcpus=1" },
    directories: [
      { path: "/srv/$(reboot)/data", mode: "2770", user: "ann", group: "ops" },
      { path: "/opt", group: 4242 },
      { path: "/bin", mode: "0711" }
    ],
    firewall: { ports: ["8080:tcp", "6000-6010:udp", "imap2:tcp"], services: { enabled: ["https"] } },
    cacerts: { pem_certs: [certificate().cert] },
    first_boot: { script: "#!/bin/sh\necho $HOME\n" },
    sysctl: { "net.ipv4.ip_forward": 1 },
    proxy: { http: "http://proxy.example.org:3128", no_proxy: ["localhost"] },
    files: [
      { path: "/opt/bytes", data: "AP8K", data_encoding: "base64", user: 4242 },
      { path: "/opt/a b/$(reboot)'`", data: "one\n$HOME\n", mode: "0640", user: "ann", group: "adm" },
      { path: "/bin/kiln-hello", data: "#!/bin/sh\necho hello\n", mode: "755" },
      { path: "/etc/mtab", data: "replaced\n" }
    ],
    services: { enabled: ["ssh"], disabled: ["systemd-timesyncd.service"], masked: ["e2scrub_all.timer"] }
  },
  1024 * 2 ** 20
)

/** Run as a process of its own. */
const program = (name: string) => join(import.meta.dirname, `../infra/debian/${name}.ts`)

/** One cache for all of this file, nothing made in it yet: what one test leaves there, the next has to live with. */
let root = ""
let cacheDir = ""
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "kiln-debian-"))
  cacheDir = await coldCache(root)
})
afterAll(() => rm(root, { recursive: true, force: true }))
afterEach(() => void vi.unstubAllEnvs())

describe("resolving", () => {
  it("gives exact packages, and the same again at once", async () => {
    const first = Result.getOrThrow(await resolved(specOf({ packages: ["tree"] })))
    expect(first.packages.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["tree", "openssh-server", "systemd-sysv", "apt"])
    )
    expect(first.sources.map(({ suite }) => suite)).toEqual(["trixie", "trixie-updates", "trixie-security"])
    expect(Result.getOrThrow(await resolved(specOf({ packages: ["tree"] })))).toEqual(first)
  })

  it("names an unknown package, and the one that was meant", async () =>
    expect(await resolved(specOf({ packages: ["nginx-lihgt"] }))).toMatchObject({
      failure: { class: "user", message: expect.stringMatching(/"nginx-lihgt" \(did you mean nginx-light/) }
    }))

  it("takes no name for a wish to remove, or for a pattern", async () => {
    expect(await resolved(specOf({ packages: ["sudo-"] }))).toMatchObject({
      failure: { class: "user", message: expect.stringContaining('"sudo-"') }
    })
    expect(await resolved(specOf({ packages: ["python3.+"] }))).toMatchObject({ failure: { class: "user" } })
  })

  it("shows apt's reasons for what cannot be together", async () =>
    expect(await resolved(specOf({ packages: ["postfix", "exim4-daemon-light"] }))).toMatchObject({
      failure: { class: "user", excerpt: expect.stringContaining("Conflicts: mail-transport-agent") }
    }))
})

describe("without a mirror", () => {
  it("goes on with the index that is there, and says so", async () => {
    await resolved(specOf({}))
    const said = execFileSync(
      "unshare",
      ["--net", "--map-root-user", process.execPath, program("resolve-once"), sharedCache],
      { encoding: "utf8" }
    )
    expect(said).toMatch(/warning: the package index of Debian 13 could not be updated; going on with the last one/)
    expect(said).toMatch(/"name":"openssh-server"/)
  })

  it(
    "fails for the repository's sake where there is no index yet",
    async () =>
      inTemporary(async (dir) => {
        const builder = debianBuilder({
          cacheDir: dir,
          mirrors: { debian: `file://${dir}/none`, security: `file://${dir}/none` }
        })
        expect(await Effect.runPromise(Effect.result(builder.resolve(specOf({}), dir, hearing())))).toMatchObject({
          failure: {
            class: "repository",
            message: "no package index of Debian 13: its mirror cannot be used",
            excerpt: expect.stringContaining("does not have a Release file")
          }
        })
      }),
    300_000
  )
})

describe("on a disk that is full", () => {
  it("fails for the platform's sake, in words", async () => {
    const lock = Result.getOrThrow(await resolved(specOf({})))
    await inTemporary(async (dir) => {
      await mkdir(join(dir, "small"))
      await writeFile(join(dir, "small.lock"), JSON.stringify(lock))
      // A small disk of its own for the workspace, which ends with the process.
      const [first, ...prefix] = [...mappedPrefix(), "unshare", "--mount"]
      const said = execFileSync(
        first!,
        [
          ...prefix,
          "sh",
          "-c",
          'mount -t tmpfs -o size=64M kiln "$2" && mkdir "$2/job" && exec "$0" "$1" "$3" "$2/job" disk <"$2.lock"',
          process.execPath,
          program("build-once"),
          join(dir, "small"),
          cacheDir
        ],
        { encoding: "utf8" }
      )
      expect(said).toMatch(/^failed platform .*: no space left on this worker's disk$/m)
    })
  })
})

/** Builds on a disk of several sizes, one after the other, which the cache and the workspaces share; what each has said and left. */
const growing = `
mount -t tmpfs kiln "$2"
for size in $4; do
  mount -o "remount,size=$size" "$2"
  echo "= $size"
  mkdir "$2/job"
  "$0" "$1" "$2/cache" "$2/job" disk container <"$3" | grep -E "^(built|failed) "
  [ ! -e "$2/job/image.oci.tar" ] || sha256sum <"$2/job/image.oci.tar"
  rm -r "$2/job"
  cd "$2/cache"
  ls -A in-use | sed "s/^/in use /"
  find packages -type f | while read -r file; do sha256sum "$file"; done | awk '$2 != "packages/" $1 { print "damaged", $2 }'
  find base repositories -type f 2>/dev/null | grep -vE "[.](tar[.]zst|lock|json)$" || :
  find base -name "*.zst" 2>/dev/null | while read -r file; do zstd -qt "$file" || echo "damaged $file"; done
done`

describe("on a disk that the cache and the workspaces share", () => {
  it("a build fails wherever the disk is full, leaves nothing half-made, and comes out right once there is room", async () => {
    const spec = typedSpec("container", {})
    const lock = Result.getOrThrow(await resolved(spec))
    const packages = lock.packages.reduce((sum, { size }) => sum + size, 0)
    await inTemporary(async (dir) => {
      const [disk, asked, elsewhere] = [join(dir, "disk"), join(dir, "lock"), join(dir, "elsewhere")]
      await Promise.all([mkdir(disk), mkdir(elsewhere), writeFile(asked, JSON.stringify(lock))])
      // Not enough for the packages; for them, but not for a tree of them; for all.
      const sizes = [0.6 * packages, 3 * packages, 60 * packages].map(Math.round)
      const argv = [...mappedPrefix(), "unshare", "--mount", "bash", "-euc", growing, process.execPath, program("build-once"), disk, asked, sizes.join(" ")]
      const said = execFileSync(argv[0]!, argv.slice(1), { encoding: "utf8" })
      const sha256 = await sha256Of(Result.getOrThrow(await built(spec, elsewhere)).path)
      expect(said.split("\n")).toEqual([
        `= ${sizes[0]}`, "failed platform fetching packages failed: no space left on this worker's disk",
        `= ${sizes[1]}`, expect.stringMatching(/^failed platform (making the base tree failed|the build was stopped at half of what had been free): no space left on this worker's disk$/),
        `= ${sizes[2]}`, `built ${disk}/job/image.oci.tar`, `${sha256}  -`, ""
      ])
    })
  }, 300_000)
})

/** Processes and mounts that have anything to do with a folder. */
const tracesOf = (dir: string) => [
  ...readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(dir) ||
          readFileSync(`/proc/${pid}/environ`, "utf8").includes(`=${dir}`)
          ? [`process ${pid}`]
          : []
      } catch {
        return []
      }
    }),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(dir))
]

/** What was killed takes a while to be gone. */
const noTracesOf = (dir: string) => vi.waitFor(() => expect(tracesOf(dir)).toEqual([]), { timeout: 60_000, interval: 50 })

describe("a build that is not to be finished", () => {
  it("ends at once when it is canceled, with all it began", async () => {
    const lock = Result.getOrThrow(await resolved(specOf({})))
    await inTemporary(async (dir) => {
      const workspace = join(dir, "job")
      await mkdir(workspace)
      const reached = Promise.withResolvers<void>()
      const report = hearing(({ percent, stage }) => stage === "base-system" && percent > 25 && reached.resolve())
      const fiber = Effect.runFork(buildOf(specOf({}), lock, new Map(), workspace, report, cacheDir))
      await reached.promise
      expect(tracesOf(workspace).length).toBeGreaterThan(0)
      const began = performance.now()
      await Effect.runPromise(Fiber.interrupt(fiber))
      // SIGKILL would come after 10 seconds: SIGTERM was enough.
      expect(performance.now() - began).toBeLessThan(10_000)
      await noTracesOf(workspace)
      expect(await readdir(workspace)).toEqual([])
      expect((await readdir(join(cacheDir, "base"))).filter((name) => name.endsWith(".zst"))).toEqual([])
    })
  })

  it("does not go on without a worker that was killed", async () => {
    const lock = Result.getOrThrow(await resolved(specOf({})))
    await inTemporary(async (dir) => {
      const workspace = join(dir, "job")
      await mkdir(workspace)
      const worker = spawn(process.execPath, [program("build-once"), cacheDir, workspace], {
        stdio: ["pipe", "pipe", "inherit"]
      })
      worker.stdin.end(JSON.stringify(lock))
      for await (const chunk of worker.stdout.setEncoding("utf8"))
        if (String(chunk).includes("installing essential packages")) break
      const gone = new Promise((resolve) => worker.once("exit", resolve))
      worker.kill("SIGKILL")
      await gone
      await noTracesOf(workspace)
      expect((await readdir(join(cacheDir, "base"))).filter((name) => name.endsWith(".zst"))).toEqual([])
    })
  })
})

describe("building", () => {
  // The first two are made at once, on what the canceled and the killed build left behind.
  it("makes the image that was asked for, to the same bytes cold, beside another, and warm, in memory and on the disk", async () => {
    await inTemporary(async (dir) => {
      const report = hearing()
      const [cold, beside] = await Promise.all(
        ([["cold", "auto"], ["beside", "disk"]] as const).map(async ([name, scratch]) => {
          const workspace = join(dir, name)
          await mkdir(workspace)
          return Result.getOrThrow(await built(everything, workspace, { secrets, report, cacheDir, scratch }))
        })
      )
      await mkdir(join(dir, "warm"))
      const heard = hearing()
      const warm = Result.getOrThrow(await built(everything, join(dir, "warm"), { secrets, report: heard, cacheDir }))
      // Below 70 per cent lies the making of the base tree, which a warm build leaves out.
      const madeBase = (stages: typeof heard.stages) => stages.some(({ percent, stage }) => stage === "base-system" && percent < 70)
      expect([madeBase(report.stages), madeBase(heard.stages)]).toEqual([true, false])
      const digests = await Promise.all([cold!, beside!, warm].map(({ path }) => sha256Of(path)))
      expect(new Set(digests).size).toBe(1)
      expect(warm).toMatchObject({ format: "qcow2", filename: "box.example.org.qcow2" })
      expect((await readdir(join(cacheDir, "base"))).filter((name) => name.endsWith(".tar.zst")).length).toBe(1)

      expect(report.lines.filter((line) => line.includes("correct horse"))).toEqual([])
      expect(new Set(report.stages.map(({ stage }) => stage))).toEqual(
        new Set(
          ["resolve", "base-system", "packages", "customize", "disk", "convert"].concat(
            report.stages.some(({ stage }) => stage === "download") ? ["download"] : []
          )
        )
      )

      const disk = await openedDisk(warm.path, dir)
      expect(await disk.check()).toMatch(/files/)
      expect(await disk.table()).toMatchObject({
        label: "gpt",
        partitions: [
          { name: "esp", start: 2048, size: 131072, attrs: "LegacyBIOSBootable" },
          { name: "root", start: 133120 }
        ]
      })
      expect(await disk.esp("/loader/entries/linux.conf")).toMatch(/^linux \/linux\/vmlinuz\r?$/m)
      for (const entry of ["/loader/entries/linux.conf", "/syslinux.cfg"])
        expect(await disk.esp(entry)).toMatch(/ quiet mitigations=off isolcpus=1\r?$/m)

      expect(await disk.text("/etc/hostname")).toBe("box.example.org\n")
      expect(await disk.text("/etc/hosts")).toContain("127.0.1.1\tbox.example.org box\n")
      expect(await disk.stat("/etc/localtime")).toContain('Fast link dest: "/usr/share/zoneinfo/Europe/Berlin"')
      expect(await disk.text("/etc/locale.conf")).toBe("LANG=de_DE.UTF-8\n")
      expect(await disk.names("/usr/lib/locale")).toContain("locale-archive")
      expect(await disk.stat("/usr/bin/tree")).toContain("Type: regular")

      expect(await disk.text("/etc/passwd")).toContain("\nann:x:2000:2001:Ann, $(reboot):/srv/ann:/bin/sh\n")
      expect(await disk.text("/etc/shadow")).toMatch(/\nann:\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}:.*:22310:\n/)
      expect(await disk.text("/etc/group")).toMatch(/\nsudo:x:27:ann\n/)
      expect(await disk.text("/etc/group")).toMatch(/\nops:x:3000:\ndevs:x:[0-9]{4}:\nann:x:2001:\n$/)
      expect(await disk.text("/srv/ann/.ssh/authorized_keys")).toBe(`${key}\n`)
      expect(await disk.stat("/srv/ann/.ssh/authorized_keys")).toMatch(/Mode: 0600 .*User: 2000 Group: 2001 /)
      expect(await disk.stat("/root/.ssh")).toMatch(/Type: directory Mode: 0700 .*User: 0 /)
      expect(await disk.stat("/etc/sudoers.d/90-kiln-ann")).toContain("Mode: 0440")

      expect(await disk.text("/opt/a b/$(reboot)'`")).toBe("one\n$HOME\n")
      expect(await disk.stat("/opt/a b/$(reboot)'`")).toMatch(/Mode: 0640 .*User: 2000 Group: 4 /)
      expect(await disk.text("/opt/bytes")).toBe(Buffer.from([0, 0xff, 10]).toString())
      expect(await disk.stat("/opt/bytes")).toMatch(/Mode: 0644 .*User: 4242 Group: 0 .*Size: 3 /)
      expect(await disk.stat("/srv/$(reboot)/data")).toMatch(/Type: directory Mode: 02770 .*User: 2000 Group: 3000 /)
      expect(await disk.stat("/opt")).toMatch(/Mode: 0755 .*User: 0 Group: 4242 /)
      // Through the link in its place, which leads to no other tree.
      expect(await disk.stat("/usr/bin")).toMatch(/Type: directory Mode: 0711 .*User: 0 Group: 0 /)
      // Through the tree's own links, but never along one in the file's place.
      expect(await disk.stat("/usr/bin/kiln-hello")).toContain("Mode: 0755")
      expect(await disk.text("/etc/mtab")).toBe("replaced\n")

      const wanted = await disk.names("/etc/systemd/system/multi-user.target.wants")
      expect(wanted).toEqual(expect.arrayContaining(["ssh.service", "systemd-networkd.service"]))
      expect(await disk.names("/etc/systemd/system/sysinit.target.wants")).not.toContain("systemd-timesyncd.service")
      expect(await disk.stat("/etc/systemd/system/e2scrub_all.timer")).toContain('Fast link dest: "/dev/null"')

      expect(await disk.text("/etc/systemd/timesyncd.conf.d/90-kiln.conf")).toBe("[Time]\nNTP=ntp.example.org\n")
      expect(await disk.text("/etc/sysctl.d/90-kiln.conf")).toBe("net.ipv4.ip_forward = 1\n")
      expect(await disk.text("/etc/environment")).toContain("http_proxy=http://proxy.example.org:3128\n")
      expect(await disk.text("/etc/apt/apt.conf.d/90-kiln-proxy")).toContain('Acquire::http::Proxy::localhost "DIRECT";\n')
      expect((await disk.text("/etc/nftables.conf")).match(/\w+ dport .* accept$/gm)).toEqual([
        "udp dport 546 accept",
        ...["22", "143", "443", "8080"].map((port) => `tcp dport ${port} accept`),
        ...["443", "6000-6010"].map((port) => `udp dport ${port} accept`)
      ])
      expect(await disk.names("/etc/systemd/system/sysinit.target.wants")).toContain("nftables.service")
      expect(await disk.text("/usr/lib/kiln/first-boot")).toBe("#!/bin/sh\necho $HOME\n")
      expect(await disk.stat("/usr/lib/kiln/first-boot")).toContain("Mode: 0700")
      expect(wanted).toContain("kiln-first-boot.service")
      const trusted = await disk.text("/etc/ssl/certs/ca-certificates.crt")
      const own = (await disk.text("/usr/local/share/ca-certificates/kiln-0000.crt")).trim()
      expect([own.startsWith("-----BEGIN CERTIFICATE-----"), trusted.includes(own)]).toEqual([true, true])

      // Nothing that only one machine should have.
      expect((await disk.names("/etc/ssh")).filter((name) => name.startsWith("ssh_host"))).toEqual([])
      expect(await disk.text("/etc/machine-id")).toBe("")
      expect(await disk.names("/run")).not.toContain("kiln")
      expect((await disk.text("/etc/apt/sources.list")).trim().split("\n").length).toBe(3)
    })
  })

  it("runs nothing that the request brings, and enables the units that it brings", async () => {
    const evil = "#!/bin/sh\ntouch /pwned\n"
    const programs = [
      "/usr/bin/systemctl",
      "/bin/sh",
      "/usr/bin/bash",
      "/usr/sbin/chpasswd",
      "/usr/bin/getent",
      "/usr/bin/chown",
      "/bin/rm",
      "/usr/bin/find"
    ]
    const spec = specOf({
      users: [{ name: "ann" }],
      keyboard: { layout: "de", variant: "nodeadkeys" },
      cloud_init: { user_data: "#cloud-config\nruncmd: [reboot]\n" },
      files: [
        ...programs.map((path) => ({ path, data: evil, mode: "0755" })),
        { path: "/etc/ld.so.preload", data: "/pwned.so\n" },
        {
          path: "/etc/systemd/system/hello@.service",
          data: "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target ../../evil\n"
        },
        { path: "/home/ann/deep/er/file", data: "x", user: "ann", mode: "4755" }
      ],
      services: { enabled: ["hello@one", "ssh"] }
    })
    await inTemporary(async (dir) => {
      const disk = await openedDisk(Result.getOrThrow(await built(spec, dir, { cacheDir })).path, dir)
      expect(await disk.names("/")).not.toContain("pwned")
      expect(await disk.text("/usr/bin/systemctl")).toBe(evil)
      expect(await disk.stat("/usr/bin")).toContain("Type: directory")
      expect(await disk.stat("/bin")).toContain("Type: symlink")
      expect(await disk.stat("/etc/systemd/system/multi-user.target.wants/hello@one.service")).toContain(
        '"/etc/systemd/system/hello@.service"'
      )
      expect(await disk.names("/etc/systemd/system/multi-user.target.wants")).toContain("ssh.service")
      expect(await disk.stat("/home/ann/deep/er/file")).toMatch(/Mode: 04755 .*User: 1000 /)

      expect(await disk.text("/etc/default/keyboard")).toContain('XKBLAYOUT="de"\nXKBVARIANT="nodeadkeys"\n')
      expect(await disk.names("/etc/console-setup")).not.toContain("cached_setup_keyboard.sh")

      expect(await disk.text("/var/lib/cloud/seed/nocloud/user-data")).toBe("#cloud-config\nruncmd: [reboot]\n")
      expect(await disk.stat("/var/lib/cloud/seed/nocloud/user-data")).toContain("Mode: 0600")
      expect(await disk.text("/var/lib/cloud/seed/nocloud/meta-data")).toMatch(/^instance-id: kiln-[0-9a-f]{16}\n$/)
      expect(await disk.text("/etc/cloud/cloud.cfg.d/95-kiln-seed.cfg")).toContain("datasource_list: [ NoCloud, None ]\n")
      expect(await disk.names("/usr/bin")).toContain("cloud-init")
      expect(await disk.names("/usr/lib/python3/dist-packages/cloudinit")).not.toContain("__pycache__")
    })
  })

  it.each([
    [
      "an unknown unit",
      specOf({ services: { enabled: ["no-such-unit"] } }),
      'services.enabled: no unit "no-such-unit" in the image'
    ],
    [
      "an unknown time zone",
      specOf({ timezone: "Mars/Olympus" }),
      'timezone: no time zone "Mars/Olympus" in the image'
    ],
    ["an unknown locale", specOf({ locale: "xx_XX.UTF-8" }), 'locale: no locale "xx_XX.UTF-8" in the image'],
    [
      "an unknown group",
      specOf({ users: [{ name: "ann", groups: ["adm", "nobodys"] }] }),
      'users.ann.groups: no group "nobodys" in the image'
    ],
    [
      "a shell that is not there",
      specOf({ users: [{ name: "ann", shell: "/bin/zsh" }] }),
      'users.ann.shell: no program "/bin/zsh" in the image'
    ],
    [
      "a uid that is taken",
      specOf({
        users: [
          { name: "ann", uid: 1500 },
          { name: "bob", uid: 1500 }
        ]
      }),
      "users.bob: useradd: UID 1500 is not unique"
    ],
    [
      "a file of an unknown user",
      specOf({ files: [{ path: "/a", data: "", user: "ghost" }] }),
      'files[0].user: no user "ghost" in the image'
    ],
    [
      "a file in a directory's place",
      specOf({ files: [{ path: "/etc", data: "" }] }),
      'files[0].path: "/etc" is a directory in the image'
    ],
    [
      "a file in a linked directory's place",
      specOf({ files: [{ path: "/bin", data: "" }] }),
      'files[0].path: "/bin" is a directory in the image'
    ],
    [
      "a group's number that is taken",
      specOf({ groups: [{ name: "sudo", gid: 5000 }] }),
      'groups.sudo.gid: the image has a group "sudo" already, with another gid'
    ],
    [
      "an unknown service in the firewall",
      specOf({ firewall: { services: { enabled: ["gopherd"] } } }),
      'firewall.services.enabled: no service "gopherd" in /etc/services of the image'
    ],
    [
      "a file that is not to make its folders",
      specOf({ files: [{ path: "/a/b/c", data: "", ensure_parents: false }] }),
      'files[0].path: there is no directory "/a" in the image, and ensure_parents is false'
    ],
    [
      "a directory in a file's place",
      specOf({ directories: [{ path: "/etc/passwd" }] }),
      'directories[0].path: "/etc/passwd" in the image cannot be a directory: File exists'
    ],
    ["a file below a file", specOf({ files: [{ path: "/etc/passwd/x", data: "" }] }), "files[0].path: "],
    ["a disk that is too small", specOf({}, 64 * 2 ** 20), "image.options.size_bytes: this image needs at least"]
  ])(
    "refuses %s, naming the field",
    async (_, spec, message) => {
      await inTemporary(async (dir) => {
        const result = await built(spec, dir, { cacheDir })
        expect(
          Result.isFailure(result) && [result.failure.class, result.failure.message.slice(0, message.length)]
        ).toEqual(["user", message])
        expect(await readdir(dir)).toEqual([])
      })
    },
    300_000
  )

  it("lets a package's script reach nothing but its own tree", async () => {
    const secret = "kiln-secret-7d1c"
    vi.stubEnv("KILN_SOME_TOKEN", secret)
    const victim = spawn("sleep", ["600"], { stdio: "ignore" })
    const listener = createServer().listen(0, "127.0.0.1")
    try {
      await inTemporary(async (dir) => {
        for (const name of ["job", "other", "package"]) await mkdir(join(dir, name))
        await writeFile(join(dir, "token"), secret)
        await writeFile(join(dir, "other", "input"), secret)
        const item = hostilePackage(join(dir, "package"), {
          secret, token: join(dir, "token"), otherWorkspace: join(dir, "other"), cache: cacheDir,
          port: (listener.address() as { port: number }).port, pid: victim.pid!
        })
        const lock = Result.getOrThrow(await resolved(specOf({})))
        const spec = specOf({ packages: [packageName] })
        const { path } = await Effect.runPromise(
          buildOf(spec, { ...lock, packages: [...lock.packages, item] }, new Map(), join(dir, "job"), hearing(), cacheDir)
        )
        const report = (await (await openedDisk(path, dir)).text(reportPath)).trim().split("\n")
        expect(report.length).toBeGreaterThan(18)
        expect(report.filter((line) => line.endsWith(": got"))).toEqual([])
        expect(report.filter((line) => line.startsWith("fd ") && !/^fd (pipe:|socket:|\/dev\/null|\/var\/lib\/(dpkg\/|kiln-hostile))/.test(line))).toEqual([])
        expect(report).toContain("host localhost")
        expect(victim.exitCode ?? victim.signalCode).toBe(null)
        // Its daemon has not outlived the build, and what lies in the cache is what it was.
        await noTracesOf("7777")
        for (const { name, sha256 } of lock.packages.slice(0, 20))
          expect([name, await sha256Of(join(cacheDir, "packages", sha256))]).toEqual([name, sha256])
      })
    } finally {
      victim.kill()
      listener.close()
    }
  })

  it("takes nothing from a mirror that is not what the lock says", async () => {
    const lock = Result.getOrThrow(await resolved(specOf({})))
    const broken = {
      ...lock,
      packages: lock.packages.map((item) => (item.name === "netbase" ? { ...item, sha256: "0".repeat(64) } : item))
    }
    await inTemporary(async (dir) => {
      const result = await Effect.runPromise(
        Effect.result(buildOf(specOf({}), broken, new Map(), dir, hearing(), cacheDir))
      )
      expect(result).toMatchObject({
        failure: { class: "repository", message: expect.stringMatching(/^cannot fetch netbase .* its SHA-256 is /) }
      })
    })
  })
})
