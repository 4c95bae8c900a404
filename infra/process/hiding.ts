/** Puts `***` for each secret in a line, also as JSON writes it. Longer ones first: a shorter one may be a part of them. */
export const hiding = (secrets: Iterable<string>) => {
  const hidden = [...new Set([...secrets].flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]))]
    .filter((secret) => secret.length > 0).sort((a, b) => b.length - a.length)
  return (line: string): string => hidden.reduce((text, secret) => text.replaceAll(secret, "***"), line)
}
