import { expect, test } from 'vitest'
import { buildTree, findFiles, foldersAbove, problemOfPath, visibleRows, type FileEntry } from '../src/tree/tree-model'

const files: FileEntry[] = ['Source/Hero10.cpp', 'Source/Hero2.cpp', 'a.md', 'Source/Player/Input.cpp'].map((path) => ({ fileId: path, path, language: null }))

test('folders stand before files, and numbers in names count as numbers', () => {
  const rows = visibleRows(buildTree(files, ['Content/Maps']), new Set(['Source', 'Content']))
  expect(rows.map(({ node, level }) => `${level} ${node.path}`)).toEqual([
    '1 Content',
    '2 Content/Maps',
    '1 Source',
    '2 Source/Player',
    '2 Source/Hero2.cpp',
    '2 Source/Hero10.cpp',
    '1 a.md'
  ])
})

test('what is in a closed folder has no row', () => {
  expect(visibleRows(buildTree(files, []), new Set()).map(({ node }) => node.name)).toEqual(['Source', 'a.md'])
})

test('a folder that somebody made and that has files is there once', () => {
  expect(buildTree(files, ['Source', 'Source/Player']).filter(({ name }) => name === 'Source')).toHaveLength(1)
})

test('a file is found by all words of a query, in any case and order', () => {
  expect(findFiles(files, 'cpp hero').map(({ path }) => path)).toEqual(['Source/Hero10.cpp', 'Source/Hero2.cpp'])
  expect(findFiles(files, 'hero md')).toEqual([])
})

test('the folders above a file are named from the outside in', () => {
  expect(foldersAbove('a/b/c.md')).toEqual(['a', 'a/b'])
  expect(foldersAbove('c.md')).toEqual([])
})

test.each(['', '  ', 'a//b', 'a/', '/a', '../a', 'a/./b', 'a\u0000', 'x'.repeat(513)])('%j is no path', (path) => {
  expect(problemOfPath(path)).not.toBeNull()
})

test('other characters may stand in a path', () => {
  expect(problemOfPath('Größe/<img src=x>.md')).toBeNull()
})
