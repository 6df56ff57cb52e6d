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

/** What the compiler says of the package's types and of their tests, a line for each fault. */
const compile = (options) => {
  const compilerOptions = { ...config.compilerOptions, ...options }
  const parsed = ts.parseJsonConfigFileContent({ ...config, compilerOptions }, ts.sys, FOLDER)
  const others = options.lib.includes('dom') ? '/no-dom.test-d.ts' : '/dom.test-d.ts'
  const files = parsed.fileNames.filter((name) => !name.endsWith(others))
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
