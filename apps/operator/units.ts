/** Sizes, rates and spans of time as people read them. */

const sizes = ["B", "KiB", "MiB", "GiB", "TiB"] as const

export const bytes = (count: number): string => {
  const step = count < 1024 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), sizes.length - 1)
  const value = count / 1024 ** step
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${sizes[step]}`
}

export const rate = (bytesPerSecond: number): string => `${bytes(bytesPerSecond)}/s`

/** `0.4 s`, `12 s`, `3:05`, `1:02:03`. */
export const span = (millis: number): string => {
  const seconds = Math.max(millis, 0) / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const two = (n: number) => String(n).padStart(2, "0")
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

/** Between two RFC 3339 times; nothing while one of them is unknown. */
export const between = (from: string | undefined, to: string | undefined): string =>
  from === undefined || to === undefined ? "" : span(Date.parse(to) - Date.parse(from))
