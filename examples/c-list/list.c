// A list that any number of threads add to and take from at once. malloc and free are imported, so its nodes lie in the
// same heap as those that JavaScript makes: 8 bytes each, `next` at 0 and `value` at 4.

#include <stdint.h>

void *malloc(unsigned long byte_length);
void free(void *pointer);

#define EXPORT(name) __attribute__((export_name(#name)))

struct node {
  struct node *next;
  uint32_t value;
};

// Static data: it lies below the heap, in the page that the module is linked with.
static struct node *head;
static uint32_t pushed;
static uint32_t moved;

// Links a node in, whoever made it.
EXPORT(push) void push(struct node *node) {
  struct node *first = __atomic_load_n(&head, __ATOMIC_RELAXED);
  do {
    node->next = first;
  } while (!__atomic_compare_exchange_n(&head, &first, node, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
  __atomic_fetch_add(&pushed, 1, __ATOMIC_RELAXED);
}

// Makes a node and links it in. Returns 0 when the heap is full.
EXPORT(add) int add(uint32_t value) {
  struct node *node = malloc(sizeof *node);
  if (!node) return 0;
  node->value = value;
  push(node);
  return 1;
}

// Takes the whole list, frees its nodes, whoever made them, and returns the sum of their values. Those whose value is not
// from `from` up to `to` were made by another thread.
EXPORT(drain) uint32_t drain(uint32_t from, uint32_t to) {
  struct node *node = __atomic_exchange_n(&head, 0, __ATOMIC_ACQUIRE);
  uint32_t sum = 0;
  while (node) {
    struct node *next = node->next;
    sum += node->value;
    if (node->value < from || node->value >= to) __atomic_fetch_add(&moved, 1, __ATOMIC_RELAXED);
    free(node);
    node = next;
  }
  return sum;
}

EXPORT(count) uint32_t count(void) {
  return __atomic_load_n(&pushed, __ATOMIC_RELAXED);
}

// How many nodes were freed by another thread than the one that made them.
EXPORT(freedElsewhere) uint32_t freed_elsewhere(void) {
  return __atomic_load_n(&moved, __ATOMIC_RELAXED);
}
