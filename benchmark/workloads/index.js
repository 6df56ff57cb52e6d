// Every workload, in the order of the report. A group is
//
//   name, title, unit      for --only and the tables
//   cases(settings)        its cases: { title, enter() -> { entrants, absent } }
//   reference              the row that ratios are taken to, mimalloc unless given, null for none
//   base                   a column that a second ratio is taken to
//   convert(figure)        from cost per operation in nanoseconds to the unit
//   difference             a difference to the reference in place of a ratio
//   transposed             cases as rows
//   once                   one round is enough: nothing is timed

import { groups as access } from './access.js'
import { groups as allocs } from './allocs.js'
import { groups as channels } from './channels.js'
import { groups as construct } from './construct.js'
import { groups as live } from './live.js'
import { groups as maps } from './maps.js'
import { groups as order } from './order.js'
import { groups as processes } from './processes.js'
import { groups as sizes } from './sizes.js'
import { groups as space } from './space.js'
import { groups as structures } from './structures.js'
import { groups as threads } from './threads.js'
import { groups as traces } from './traces.js'
import { groups as wasm } from './wasm.js'

export const groups = [
  ...order,
  ...live,
  ...sizes,
  ...traces,
  ...space,
  ...threads,
  ...wasm,
  ...access,
  ...construct,
  ...allocs,
  ...maps,
  ...structures,
  ...channels,
  ...processes,
]
