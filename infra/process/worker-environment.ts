/** What a worker's process may see: workers run what strangers' packages bring along. */

/** No credential but its own, and nothing of the user's. */
const secrets = /^KILN_(NATS_CREDENTIALS|NATS_CORE_URL|POSTGRES_URL|KEYS|SIGNING_KEY|TOKEN|ISSUERS)$/
const harmlessNames = /^(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|NODE_COMPILE_CACHE|(https?|ftp|all|no)_proxy|DEBIAN_MIRROR|KILN_.*)$/i

export const workerEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => harmlessNames.test(name) && !secrets.test(name)))
