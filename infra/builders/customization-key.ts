import { Schema } from "effect"
import { SealedCustomizations } from "../../domain/customizations.ts"

export const CustomizationKey = Schema.Literals(Object.keys(SealedCustomizations.fields) as Array<keyof typeof SealedCustomizations.fields>)
