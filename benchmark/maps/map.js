// What a map costs that nobody shares.

export const contender = {
  name: 'Map, not shared',
  module: import.meta.url,
  lacks: ({ threads }) => (threads > 1 ? 'it belongs to one thread' : undefined),
  create: () => ({ handle: undefined, close() {} }),
  attach: () => new Map(),
}
