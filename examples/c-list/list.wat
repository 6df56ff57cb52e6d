;; What clang makes of list.c, written by hand for machines without it: `head` at 1024, `pushed` at 1028,
;; `moved` at 1032.
(module
  (import "env" "memory" (memory 1 100 shared))
  (import "env" "malloc" (func $malloc (param i32) (result i32)))
  (import "env" "free" (func $free (param i32)))
  (global (export "__stack_pointer") (mut i32) (i32.const 1024))
  (func $push (export "push") (param $node i32)
    (local $first i32)
    (loop $again
      (local.set $first (i32.atomic.load (i32.const 1024)))
      (i32.store (local.get $node) (local.get $first))
      (br_if $again
        (i32.ne
          (local.get $first)
          (i32.atomic.rmw.cmpxchg (i32.const 1024) (local.get $first) (local.get $node)))))
    (drop (i32.atomic.rmw.add (i32.const 1028) (i32.const 1))))
  (func (export "add") (param $value i32) (result i32)
    (local $node i32)
    (local.set $node (call $malloc (i32.const 8)))
    (if (i32.eqz (local.get $node)) (then (return (i32.const 0))))
    (i32.store offset=4 (local.get $node) (local.get $value))
    (call $push (local.get $node))
    (i32.const 1))
  (func (export "drain") (param $from i32) (param $to i32) (result i32)
    (local $node i32) (local $next i32) (local $sum i32)
    (local.set $node (i32.atomic.rmw.xchg (i32.const 1024) (i32.const 0)))
    (block $done
      (loop $again
        (br_if $done (i32.eqz (local.get $node)))
        (local.set $next (i32.load (local.get $node)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $node))))
        (if
          (i32.or
            (i32.lt_u (i32.load offset=4 (local.get $node)) (local.get $from))
            (i32.ge_u (i32.load offset=4 (local.get $node)) (local.get $to)))
          (then (drop (i32.atomic.rmw.add (i32.const 1032) (i32.const 1)))))
        (call $free (local.get $node))
        (local.set $node (local.get $next))
        (br $again)))
    (local.get $sum))
  (func (export "count") (result i32) (i32.atomic.load (i32.const 1028)))
  (func (export "freedElsewhere") (result i32) (i32.atomic.load (i32.const 1032))))
