;; Masks a range that begins at address 0: XOR with a 32-bit key, 64 octets a step. The last step may go past `end`, but
;; not past the memory, of which a step is a whole fraction: what is there is nobody's.
(module
  (memory (export "memory") 1)
  (func (export "mask") (param $end i32) (param $key i32)
    (local $at i32)
    (local $pattern v128)
    (local.set $pattern (i32x4.splat (local.get $key)))
    (loop $step
      (v128.store (local.get $at) (v128.xor (v128.load (local.get $at)) (local.get $pattern)))
      (v128.store offset=16 (local.get $at) (v128.xor (v128.load offset=16 (local.get $at)) (local.get $pattern)))
      (v128.store offset=32 (local.get $at) (v128.xor (v128.load offset=32 (local.get $at)) (local.get $pattern)))
      (v128.store offset=48 (local.get $at) (v128.xor (v128.load offset=48 (local.get $at)) (local.get $pattern)))
      (br_if $step (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 64))) (local.get $end))))))
