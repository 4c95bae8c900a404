import { isProgram } from "../process/is-program.ts"
import { path } from "../process/run.ts"

/** Whether a program, by its name or path, can be started here. */
export const hasProgram = (program: string): boolean =>
  (program.includes("/") ? [program] : path.split(":").map((folder) => `${folder}/${program}`)).some(isProgram)

export const missingProgram = (program: string): string | undefined => hasProgram(program) ? undefined : `there is no program ${program}`
