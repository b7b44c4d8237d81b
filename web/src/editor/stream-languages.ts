import { LanguageSupport, StreamLanguage } from '@codemirror/language'
import { clike } from '@codemirror/legacy-modes/mode/clike'
import { properties } from '@codemirror/legacy-modes/mode/properties'

const words = (text: string): Record<string, boolean> => Object.fromEntries(text.split(' ').map((word) => [word, true]))

const VECTORS = ['bool', 'int', 'uint', 'half', 'float', 'double'].flatMap((scalar) => [
  scalar,
  ...['2', '3', '4', '2x2', '3x3', '3x4', '4x3', '4x4'].map((size) => scalar + size)
])

// Beside HLSL's own words those of Unreal's shader files (.usf, .ush).
const HLSL = clike({
  name: 'hlsl',
  keywords: words(
    'if else for while do switch case default break continue return discard struct cbuffer tbuffer static const ' +
      'uniform inline in out inout register packoffset precise groupshared numthreads typedef extern volatile ' +
      'nointerpolation linear centroid sample row_major column_major MaterialFloat MaterialFloat2 MaterialFloat3 MaterialFloat4'
  ),
  types: words(
    `void ${VECTORS.join(' ')} Texture2D Texture3D TextureCube Texture2DArray SamplerState SamplerComparisonState ` +
      'Buffer StructuredBuffer RWStructuredBuffer ByteAddressBuffer RWByteAddressBuffer RWTexture2D RWTexture3D matrix vector'
  ),
  blockKeywords: words('if else for while do switch struct cbuffer'),
  atoms: words('true false'),
  hooks: {
    '#': (stream: { skipToEnd(): void }, state: { startOfLine?: boolean }) => {
      if (!state.startOfLine) return false
      stream.skipToEnd()
      return 'meta'
    }
  }
})

export const hlsl = (): LanguageSupport => new LanguageSupport(StreamLanguage.define(HLSL))
export const ini = (): LanguageSupport => new LanguageSupport(StreamLanguage.define(properties))
