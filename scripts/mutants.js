// Makes mutants of a source file: each is the file with one small fault in it. The seeds of faults are the usual ones: another
// operator, a condition that is always true or never, a statement or a result that is missing, a number that is one more.

import ts from 'typescript'

const OPERATORS = new Map(
  Object.entries({
    '<': '<=',
    '<=': '<',
    '>': '>=',
    '>=': '>',
    '===': '!==',
    '!==': '===',
    '+': '-',
    '-': '+',
    '*': '/',
    '/': '*',
    '%': '*',
    '&': '|',
    '&&': '||',
    '||': '&&',
    '??': '&&',
    '<<': '>>>',
    '>>>': '<<',
    '>>': '<<',
  }),
)

const isSuperCall = (node) =>
  ts.isCallExpression(node.expression) &&
  node.expression.expression.kind === ts.SyntaxKind.SuperKeyword

const CHANGES = [
  // Another operator.
  (node) => {
    if (!ts.isBinaryExpression(node)) return []
    const other = OPERATORS.get(node.operatorToken.getText())
    return other === undefined ? [] : [[node.operatorToken, other]]
  },
  // A condition that is always true, or never.
  (node) =>
    ts.isIfStatement(node) || ts.isWhileStatement(node)
      ? ['true', 'false'].map((always) => [node.expression, always])
      : [],
  (node) =>
    ts.isConditionalExpression(node) ? [[node.condition, `!(${node.condition.getText()})`]] : [],
  (node) =>
    ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken
      ? [[node, node.operand.getText()]]
      : [],
  // A statement, or a result, that is missing.
  (node) => (ts.isExpressionStatement(node) && !isSuperCall(node) ? [[node, ';']] : []),
  (node) => (ts.isThrowStatement(node) ? [[node, ';']] : []),
  (node) => (ts.isReturnStatement(node) && node.expression ? [[node, 'return']] : []),
  (node) => (ts.isArrowFunction(node) && !ts.isBlock(node.body) ? [[node.body, 'undefined']] : []),
  // A number that is one more.
  (node) =>
    ts.isNumericLiteral(node) ? [[node, String(Number(node.text.replaceAll('_', '')) + 1)]] : [],
]

/**
 * @param {string} file its name, for messages
 * @param {string} text its source
 * @returns {{ file: string, line: number, before: string, after: string, text: string }[]} `before` is the line that is changed,
 * `after` the same line with the fault, `text` the whole file with it
 */
export const mutantsOf = (file, text) => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const mutants = []
  const mutant = (node, replacement) => {
    const [start, end] = [node.getStart(source), node.end]
    const { line } = source.getLineAndCharacterOfPosition(start)
    const mutated = text.slice(0, start) + replacement + text.slice(end)
    const lineOf = (whole) => whole.split('\n')[line].trim()
    return { file, line: line + 1, before: lineOf(text), after: lineOf(mutated), text: mutated }
  }
  const visit = (node) => {
    for (const change of CHANGES) {
      for (const [at, replacement] of change(node)) mutants.push(mutant(at, replacement))
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return mutants
}
