// Preloaded into a program, writes its calls of malloc, free and realloc to the file that the variable
// TRACE names: records of four u64 [call, pointer, size, earlier pointer] in the order of the calls.
// calloc counts as malloc, and so does an aligned allocation. See record.js.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MALLOC, FREE, REALLOC, RECORDS = 4096 };

extern void *__libc_malloc(size_t);
extern void __libc_free(void *);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_memalign(size_t, size_t);

static uint64_t records[RECORDS][4];
static int count;
static int file = -1;
static pid_t owner;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void flush(void) {
  const char *bytes = (const char *)records;
  size_t left = sizeof records[0] * count;
  while (left > 0) {
    ssize_t written = write(file, bytes, left);
    if (written <= 0) break;
    bytes += written;
    left -= written;
  }
  count = 0;
}

// The process that the variable is meant for records; those that it forks do not.
__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TRACE");
  if (!path) return;
  owner = getpid();
  file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  unsetenv("TRACE");
}

__attribute__((destructor)) static void end(void) {
  if (file >= 0 && getpid() == owner) flush();
}

static void note(uint64_t call, void *pointer, size_t size, void *earlier) {
  if (file < 0 || getpid() != owner) return;
  pthread_mutex_lock(&lock);
  uint64_t *record = records[count++];
  record[0] = call;
  record[1] = (uintptr_t)pointer;
  record[2] = size;
  record[3] = (uintptr_t)earlier;
  if (count == RECORDS) flush();
  pthread_mutex_unlock(&lock);
}

void *malloc(size_t size) {
  void *pointer = __libc_malloc(size);
  if (pointer) note(MALLOC, pointer, size, NULL);
  return pointer;
}

void free(void *pointer) {
  if (pointer) note(FREE, pointer, 0, NULL);
  __libc_free(pointer);
}

void *realloc(void *earlier, size_t size) {
  void *pointer = __libc_realloc(earlier, size);
  if (pointer) note(earlier ? REALLOC : MALLOC, pointer, size, earlier);
  else if (earlier && size == 0) note(FREE, earlier, 0, NULL);
  return pointer;
}

void *calloc(size_t n, size_t size) {
  void *pointer = __libc_calloc(n, size);
  if (pointer) note(MALLOC, pointer, n * size, NULL);
  return pointer;
}

void *memalign(size_t align, size_t size) {
  void *pointer = __libc_memalign(align, size);
  if (pointer) note(MALLOC, pointer, size, NULL);
  return pointer;
}

void *aligned_alloc(size_t align, size_t size) {
  return memalign(align, size);
}

int posix_memalign(void **pointer, size_t align, size_t size) {
  *pointer = memalign(align, size);
  return *pointer ? 0 : 12;
}
