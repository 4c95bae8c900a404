/** What `npm start` tells people when there is something to do for them. */
import { relative } from "node:path"
import { endpointFile } from "./endpoint-file.ts"
import { type Built, user } from "./first-image.ts"
import { project } from "./settings.ts"

/** As one would type it in the project's folder. */
const typed = (path: string) => {
  const near = relative(project, path)
  return quoted(near.startsWith("..") ? path : near)
}

const quoted = (path: string) => (/^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`)

const sshPort = 2222

export const bootWords = ({ file, keys, password }: Built): ReadonlyArray<string> => [
  "",
  `Your first image: ${typed(file)}`,
  "",
  "Boot it in software, which takes half a minute and works everywhere (package qemu-system-x86):",
  "  qemu-system-x86_64 -machine q35 -accel tcg -smp 2 -m 1024 -nographic \\",
  `    -drive file=${typed(file)},if=virtio -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:${sshPort}-:22`,
  "  faster where the machine has KVM: -accel kvm -cpu host; by UEFI instead of BIOS: -bios /usr/share/ovmf/OVMF.fd (package ovmf)",
  "  it ends by Ctrl-A X",
  "",
  password === undefined
    ? `Log in as ${user}; the password was shown when the build was asked for`
    : `Log in as ${user} with the password ${password} (shown only now; sudo needs none)`,
  `  ssh -p ${sshPort} -o StrictHostKeyChecking=accept-new ${user}@127.0.0.1${keys > 0 ? "   # your own SSH keys are in it" : ""}`
]

export const reachWords = (url: string, home: string): ReadonlyArray<string> => {
  const token = `$(node -p 'JSON.parse(require("fs").readFileSync(${JSON.stringify(endpointFile(home))})).token')`
  return [
    "",
    `The API: ${url}/api/kiln/v1, to read and try at ${url}/docs`,
    `  curl -H "Authorization: Bearer ${token}" ${url}/api/kiln/v1/composes`,
    "",
    "The command line, in another terminal:",
    "  npm run kiln -- list",
    "  npm run kiln -- distributions",
    "  npm run kiln -- build my-image.yaml --download=images",
    "  npm run kiln -- --help",
    ""
  ]
}
