// An API reference as markdown, from files of declarations: their comments as they stand there, in their order. A comment
// that stands by itself between the members of a class is a heading: its first line the title, the rest a text.

import ts from 'typescript'

const HEADING = /^((?: *\/\/.*\n)+)\n/m
const LINK = /\{@link\s+(?:\w+\.)?(\w+)\}/g
const BARE_CODE = /(?<![`'])\bERR_[A-Z_]+/g

const anchor = (heading) => heading.toLowerCase().replaceAll(/[^\w-]/g, '')
const link = (name) => `[${name}](#${anchor(name)})`
const fenced = (code) => `\`\`\`ts\n${code}\n\`\`\``
const isExported = (node) =>
  (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0 && node.name !== undefined
const isPublic = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) === 0
const isCallable = (node) => ts.isMethodSignature(node) || ts.isConstructSignatureDeclaration(node)

/** The members of an interface, or of a type that is written like one. */
const membersOf = ({ members, type }) =>
  members ?? (type && ts.isTypeLiteralNode(type) ? type.members : undefined)

/** The declaration itself, from the first column on. */
const codeOf = (node) =>
  node
    .getText()
    .replace(/^export /, '')
    .replaceAll('\n  ', '\n')

const groupBy = (values, keyOf) => {
  const groups = new Map()
  for (const value of values) {
    const key = keyOf(value)
    groups.set(key, [...(groups.get(key) ?? []), value])
  }
  return groups
}

const prose = (comment) =>
  (ts.getTextOfJSDocComment(comment) ?? '')
    .trim()
    .replaceAll(LINK, (_, name) => link(name))
    .replaceAll(BARE_CODE, '`$&`')

const tagsOf = (node, isKind) => ts.getAllJSDocTags(node, isKind)
const isExample = (tag) => tag.tagName.text === 'example'
const withText = (lead, comment) => [lead, prose(comment)].filter(Boolean).join(': ')

const parameter = (tag) => `- ${withText(`\`${tag.name.getText()}\``, tag.comment)}`
const returned = (tag) => `- returns: ${prose(tag.comment)}`
const thrown = (tag) => {
  const type = tag.typeExpression?.type.getText()
  const classes = type === undefined ? '' : ` \`${type}\``
  return `- throws${classes} ${prose(tag.comment)}`
}

/** What the comment of a declaration says. */
const textOf = (node) => {
  const list = [
    ...tagsOf(node, ts.isJSDocParameterTag).map(parameter),
    ...tagsOf(node, ts.isJSDocReturnTag).map(returned),
    ...tagsOf(node, ts.isJSDocThrowsTag).map(thrown),
  ]
  const examples = tagsOf(node, isExample).map(({ comment }) => ts.getTextOfJSDocComment(comment))
  const summary = node.jsDoc?.at(-1)?.comment
  return [prose(summary), list.join('\n'), ...examples].filter(Boolean).join('\n\n')
}

/** Overloads of one text have it once. */
const overloads = (nodes) => {
  const byText = groupBy(nodes, textOf)
  return [...byText].map(([text, same]) => `${fenced(same.map(codeOf).join('\n'))}\n\n${text}`)
}

const row = (node) => {
  const optional = node.questionToken ? ', may be left out' : ''
  const text = node.type.getText()
  // What may be left out may be undefined: that goes without saying.
  const type = (optional ? text.replace(/ \| undefined$/, '') : text).replaceAll('|', '\\|')
  return `| \`${node.name.getText()}\` | \`${type}\`${optional} | ${textOf(node).replaceAll('\n', ' ')} |`
}

const table = (members) =>
  ['| property | type | |', '| --- | --- | --- |', ...members.map(row)].join('\n')

const nameOf = (node) => node.name?.getText() ?? 'constructor'

const membersSection = (node, members) => {
  const properties = members.filter((member) => !isCallable(member))
  const methods = groupBy(members.filter(isCallable), nameOf)
  const sections = [...methods].map(([name, nodes]) =>
    [`#### ${node.name.text}.${name}`, ...overloads(nodes)].join('\n\n'),
  )
  return (properties.length > 0 ? [table(properties)] : []).concat(sections)
}

const typeSection = (node) => {
  const members = membersOf(node)
  const parents = node.heritageClauses?.map((clause) => `\`${clause.getText()}\``) ?? []
  const facts = members ? parents.concat(membersSection(node, members)) : [fenced(codeOf(node))]
  return [`### ${node.name.text}`, textOf(node), ...facts].join('\n\n')
}

/** The comment that stands by itself before a declaration. */
const headingBefore = (node) => {
  const { text } = node.getSourceFile()
  const [, comment] = HEADING.exec(text.slice(node.pos, node.getStart(undefined, true))) ?? []
  return comment?.trim().replaceAll(/^ *\/\/ ?/gm, '')
}

/** The members of a class by heading, and under each by name, in their order. */
const groupsOf = (node) => {
  let heading = ''
  const byHeading = groupBy(node.members.filter(isPublic), (member) => {
    heading = headingBefore(member) ?? heading
    return heading
  })
  return [...byHeading].map(([title, members]) => [title, groupBy(members, nameOf)])
}

const contentsLine =
  (prefix) =>
  ([heading, byName]) => {
    const links = [...byName.keys()]
      .map((name) => `[${name}](#${anchor(prefix + name)})`)
      .join(', ')
    return heading ? `- ${heading.split('\n')[0]}: ${links}` : `- ${links}`
  }

const groupSection =
  (prefix) =>
  ([heading, byName]) => {
    const sections = [...byName].map(
      ([name, nodes]) => `### ${prefix}${name}\n\n${overloads(nodes).join('\n\n')}`,
    )
    return (heading ? [`## ${heading}`] : []).concat(sections).join('\n\n')
  }

/** Members of a class that is not alone on its page have its name before theirs. */
const classSection = (node, _index, classes) => {
  const groups = groupsOf(node)
  const prefix = classes.length > 1 ? `${node.name.text}.` : ''
  return [
    `## ${node.name.text}`,
    textOf(node),
    groups.map(contentsLine(prefix)).join('\n'),
    groups.map(groupSection(prefix)).join('\n\n'),
  ].join('\n\n')
}

const functionSection = (node) => [`## ${node.name.text}`, ...overloads([node])].join('\n\n')

/**
 * @param {string} title heading of the page
 * @param {Map<string, string>} files declarations by path, as the page names them
 * @returns {string} markdown, not formatted
 */
export const reference = (title, files) => {
  const exported = [...files].flatMap(([path, text]) =>
    ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true).statements.filter(isExported),
  )
  const classes = exported.filter(ts.isClassDeclaration)
  const functions = exported.filter(ts.isFunctionDeclaration)
  const types = exported.filter((node) => !classes.includes(node) && !functions.includes(node))
  return [
    `<!-- Made from ${[...files.keys()].join(' and ')} by \`npm run docs\`: change it there. -->`,
    `# ${title}`,
    ...classes.map(classSection),
    ...functions.map(functionSection),
    '## Types',
    ...types.map(typeSection),
  ].join('\n\n')
}
