;; A module for tests. The test replaces the names in braces: the types of the contract, pages of memory, data, and the
;; code of the start function, of `configure` and of `handle`.
;;
;; The code may use the functions that $Main imports, and the memory from 0: zeros up to 1024, then the data, then zeros
;; up to 65536. The arguments of the host follow. An outcome has 12 bytes, all zero for `ignore`.
(component
  (import "hookhost:hook/types@0.1.0" (instance $types
{types}  ))
  (alias export $types "host-info" (type $host-info))
  (alias export $types "interest" (type $interest))
  (alias export $types "problem" (type $problem))
  (alias export $types "event" (type $event))
  (alias export $types "outcome" (type $outcome))

  (import "hookhost:hook/log@0.1.0" (instance $log
    (type $.level (enum "error" "warn" "info" "debug" "trace"))
    (export "level" (type $level (eq $.level)))
    (export "write" (func (param "level" $level) (param "line" string)))))
  (import "hookhost:hook/kv@0.1.0" (instance $kv
    (export "add" (func
      (param "key" string) (param "amount" s64) (param "ttl" (option u32)) (result (result s64 (error string)))))))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $pollable (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-resource))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-resource (type $outer))
    (export "error" (type $error (eq $outer)))
    (type $.stream-error (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $.stream-error)))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output-stream (type $outer))
    (export "output-stream" (type $output-stream (eq $outer)))
    (export "get-stderr" (func (result (own $output-stream))))))
  (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))

  ;; What must give nothing.
  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files (export "descriptor" (type (sub resource)))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (import "wasi:sockets/network@0.2.0" (instance $network
    (type $.error-code (enum
      "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use"
      "remote-unreachable" "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large"
      "name-unresolvable" "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type $error-code (eq $.error-code)))
    (type $.family (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type $family (eq $.family)))))
  (alias export $network "error-code" (type $error-code))
  (alias export $network "ip-address-family" (type $family))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create-tcp
    (alias outer 1 $tcp-socket (type $outer-socket))
    (alias outer 1 $error-code (type $outer-code))
    (alias outer 1 $family (type $outer-family))
    (export "tcp-socket" (type $tcp-socket (eq $outer-socket)))
    (export "error-code" (type $error-code (eq $outer-code)))
    (export "ip-address-family" (type $family (eq $outer-family)))
    (export "create-tcp-socket" (func
      (param "address-family" $family) (result (result (own $tcp-socket) (error $error-code)))))))

  (core module $Memory
    (memory (export "memory") {pages})
    (global $next (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32) (param $len i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $len)))
      (block $fits (loop $grow
        (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
        (br $grow)))
      (local.get $at)))
  (core instance $memory (instantiate $Memory))
  (alias core export $memory "memory" (core memory $m))
  (alias core export $memory "realloc" (core func $realloc))

  (core func $log-write (canon lower (func $log "write") (memory $m)))
  (core func $kv-add (canon lower (func $kv "add") (memory $m) (realloc $realloc)))
  (core func $clock-subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $poll-block (canon lower (func $poll "[method]pollable.block")))
  (core func $stderr-get (canon lower (func $stderr "get-stderr")))
  (core func $stderr-write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $m)))
  (core func $exit-exit (canon lower (func $exit "exit")))
  (core func $env (canon lower (func $environment "get-environment") (memory $m) (realloc $realloc)))
  (core func $args (canon lower (func $environment "get-arguments") (memory $m) (realloc $realloc)))
  (core func $dirs (canon lower (func $preopens "get-directories") (memory $m) (realloc $realloc)))
  (core func $tcp-create (canon lower (func $create-tcp "create-tcp-socket") (memory $m)))

  (core module $Main
    (import "memory" "memory" (memory 1))
    (import "host" "log" (func $log (param $level i32) (param $line i32) (param $len i32)))
    (import "host" "add" (func $kv-add
      (param $key i32) (param $len i32) (param $amount i64) (param $has-ttl i32) (param $ttl i32) (param $result i32)))
    (import "host" "subscribe" (func $subscribe (param $nanoseconds i64) (result i32)))
    (import "host" "block" (func $block (param $pollable i32)))
    (import "host" "stderr" (func $stderr (result i32)))
    (import "host" "write" (func $write (param $stream i32) (param $text i32) (param $len i32) (param $result i32)))
    (import "host" "exit" (func $exit (param $is-failure i32)))
    (import "host" "env" (func $env (param $result i32)))
    (import "host" "args" (func $args (param $result i32)))
    (import "host" "dirs" (func $dirs (param $result i32)))
    (import "host" "tcp" (func $tcp (param $family i32) (param $result i32)))
    (data (i32.const 1024) "{data}")
    (func $say (param $len i32)
      (call $write (call $stderr) (i32.const 1024) (local.get $len) (i32.const 512)))
    (func $start {start})
    (start $start)
    ;; The result is at 16: a tag, address and length of a list.
    (func $configure (export "configure") (param i32 i32 i32 i32 i32 i32 i32 i32) (param $config i32) (param $len i32)
      (result i32)
      {configure})
    ;; The result is at 32: address and length of a list.
    (func $handle (export "handle") (param $events i32) (param $count i32) (result i32)
      {handle}))
  (core instance $main (instantiate $Main
    (with "memory" (instance $memory))
    (with "host" (instance
      (export "log" (func $log-write))
      (export "add" (func $kv-add))
      (export "subscribe" (func $clock-subscribe))
      (export "block" (func $poll-block))
      (export "stderr" (func $stderr-get))
      (export "write" (func $stderr-write))
      (export "exit" (func $exit-exit))
      (export "env" (func $env))
      (export "args" (func $args))
      (export "dirs" (func $dirs))
      (export "tcp" (func $tcp-create))))))

  (func $configure (param "host" $host-info) (param "config" string)
    (result (result (list $interest) (error (list $problem))))
    (canon lift (core func $main "configure") (memory $m) (realloc $realloc)))
  (func $handle (param "events" (list $event)) (result (list $outcome))
    (canon lift (core func $main "handle") (memory $m) (realloc $realloc)))
  (instance $handler (export "configure" (func $configure)) (export "handle" (func $handle)))
  (export "hookhost:hook/handler@0.1.0" (instance $handler)))
