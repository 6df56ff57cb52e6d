// For programs that do not have TypeScript's DOM library, which stay without it.

import { LocalSharedMemory } from 'local-shared-memory'

LocalSharedMemory.from(new LocalSharedMemory())
// @ts-expect-error there is no document
void document
// @ts-expect-error and no window
void window
