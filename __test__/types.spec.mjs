// Compiles types/*.test-d.* as users do who set up their compiler in one way or another: by import and by require.

import { fileURLToPath } from 'node:url'
import test from 'ava'
import ts from 'typescript'

const FOLDER = fileURLToPath(new URL('types', import.meta.url))

const SETTINGS = [
  { module: 'node16', lib: ['esnext'] },
  { module: 'nodenext', lib: ['esnext'] },
  { module: 'nodenext', lib: ['esnext', 'dom'] },
  { module: 'preserve', moduleResolution: 'bundler', lib: ['esnext', 'dom'] },
]

const FORMAT = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => FOLDER,
  getNewLine: () => '\n',
}

const { config } = ts.readConfigFile(`${FOLDER}/tsconfig.json`, ts.sys.readFile)

const isOurs = ({ fileName }) => !fileName.includes('/node_modules/')

/** The tests that a program with some library passes. */
const testsFor = (lib, names) => {
  const others = lib.includes('dom') ? '/no-dom.test-d.ts' : '/dom.test-d.ts'
  return names.filter((name) => !name.endsWith(others))
}

/** What the compiler says of the package's types and of their tests, a line for each fault. */
const compile = (options, include = config.include) => {
  const compilerOptions = { ...config.compilerOptions, ...options }
  const parsed = ts.parseJsonConfigFileContent({ compilerOptions, include }, ts.sys, FOLDER)
  const files = testsFor(options.lib, parsed.fileNames)
  const program = ts.createProgram(files, parsed.options)
  const diagnostics = program
    .getSourceFiles()
    .filter(isOurs)
    .flatMap((file) =>
      program.getSyntacticDiagnostics(file).concat(program.getSemanticDiagnostics(file)),
    )
  return [...parsed.errors, ...program.getOptionsDiagnostics(), ...diagnostics].map((diagnostic) =>
    ts.formatDiagnostic(diagnostic, FORMAT),
  )
}

for (const settings of SETTINGS) {
  test(`${settings.module}, lib ${settings.lib.join(' and ')}`, (t) => {
    t.deepEqual(compile(settings), [])
  })
}

test('neither the DOM library nor the types of Node.js', (t) => {
  t.deepEqual(compile({ lib: ['es2020'], types: [] }, ['bare.test-d.ts']), [])
})
