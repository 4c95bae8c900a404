/** The two services beside EC2 that say who somebody is: STS, which lends roles, and IAM, which tells of them. */
import { type Action, type Cloud, tag } from "./cloud.ts"
import { Refused } from "../aws-refused.ts"

export interface Key {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface Role {
  readonly arn: string
  readonly externalId?: string
}

const denied = (what: string) => new Refused("AccessDenied", `User: arn:aws:iam::111122223333:user/kiln is not authorized to perform: ${what}`, 403)

/** Lends a role's keys, which `lent` is told. */
export const stsActions = (roles: ReadonlyArray<Role>, lent: (key: Key) => void): Readonly<Record<string, Action>> => ({
  AssumeRole: {
    takes: /^(RoleArn|RoleSessionName|ExternalId|DurationSeconds)$/,
    needs: ["RoleArn", "RoleSessionName"],
    act: (_cloud, { given }) => {
      const role = roles.find(({ arn }) => arn === given["RoleArn"])
      if (role === undefined || role.externalId !== given["ExternalId"]) throw denied(`sts:AssumeRole on resource: ${given["RoleArn"]}`)
      if (!/^[\w+=,.@-]{2,64}$/.test(given["RoleSessionName"]!)) throw new Refused("ValidationError", "roleSessionName failed to satisfy constraint")
      const key = { accessKeyId: `ASIA${role.arn.length}EXAMPLE`, secretAccessKey: `lent for ${role.arn}`, sessionToken: `token of ${role.arn}` }
      lent(key)
      return `<AssumeRoleResult><Credentials>${tag("AccessKeyId", key.accessKeyId)}${tag("SecretAccessKey", key.secretAccessKey)}` +
        `${tag("SessionToken", key.sessionToken)}${tag("Expiration", "2099-01-01T00:00:00Z")}</Credentials></AssumeRoleResult>`
    }
  },
  GetCallerIdentity: {
    takes: /^$/,
    needs: [],
    act: () => `<GetCallerIdentityResult>${tag("Arn", "arn:aws:iam::111122223333:user/kiln")}${tag("Account", "111122223333")}</GetCallerIdentityResult>`
  }
})

/** Some role of that account may be somebody else's. */
const trusting = (name: string) => ({
  Version: "2012-10-17",
  Statement: [{
    Effect: "Allow", Principal: { Service: name.startsWith("vmimport") ? "vmie.amazonaws.com" : "lambda.amazonaws.com" }, Action: "sts:AssumeRole",
    Condition: { StringEquals: { "sts:Externalid": "vmimport" } }
  }]
})

export const iamActions: Readonly<Record<string, Action>> = {
  GetRole: {
    takes: /^RoleName$/,
    needs: ["RoleName"],
    act: (cloud: Cloud, { given }) => {
      const name = given["RoleName"]!
      if (!cloud.roles.has(name)) throw new Refused("NoSuchEntity", `The role with name ${name} cannot be found.`, 404)
      return `<GetRoleResult><Role>${tag("Path", "/")}${tag("RoleName", name)}${tag("RoleId", "AROAEXAMPLE")}${tag("Arn", `arn:aws:iam::111122223333:role/${name}`)}` +
        `${tag("CreateDate", "2026-01-01T00:00:00Z")}${tag("AssumeRolePolicyDocument", encodeURIComponent(JSON.stringify(trusting(name))))}</Role></GetRoleResult>`
    }
  }
}
