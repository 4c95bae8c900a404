/** `qemu-img -p` says "    (12.34/100%)". */
export const convertProgress = (line: string): number | undefined => {
  const percent = /^\s*\((\d+(?:\.\d+)?)\/100%\)$/.exec(line)?.[1]
  return percent === undefined ? undefined : Number(percent)
}
