/** The smallest operating system that disk-image-create takes: an element of one script. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A folder of elements with `kiln-tiny` in it, whose tree `script` makes in `$TARGET_ROOT`. */
export const tinyElement = (folder: string, script: string): string => {
  const elements = join(folder, "elements")
  const rootd = join(elements, "kiln-tiny/root.d")
  mkdirSync(rootd, { recursive: true })
  writeFileSync(join(elements, "kiln-tiny/element-provides"), "operating-system\n")
  writeFileSync(join(rootd, "10-tree"), `#!/bin/bash\nset -eu\nmkdir -p "$TARGET_ROOT"/{etc,tmp,usr,proc,sys,dev/pts,root,var/log}\n${script}`)
  chmodSync(join(rootd, "10-tree"), 0o755)
  return elements
}
