/** How a registry says whom it wants to see: its `WWW-Authenticate`. Pure. */

export type Challenge =
  | { readonly scheme: "basic" }
  | { readonly scheme: "bearer"; readonly realm: string; readonly service: string | undefined; readonly scope: string | undefined }

const parameter = /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi

/** The best of what is offered; `undefined` where nothing is that this client knows. */
export const challengeOf = (header: string | undefined): Challenge | undefined => {
  const text = header ?? ""
  const bearer = /(?:^|,)\s*bearer\s+(.*)$/is.exec(text)?.[1]
  if (bearer !== undefined) {
    const found = new Map([...bearer.matchAll(parameter)].map(([, name = "", quoted, bare = ""]) => [name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare]))
    const realm = found.get("realm")
    if (realm !== undefined) return { scheme: "bearer", realm, service: found.get("service"), scope: found.get("scope") }
  }
  return /(?:^|,)\s*basic(\s|$)/i.test(text) ? { scheme: "basic" } : undefined
}
