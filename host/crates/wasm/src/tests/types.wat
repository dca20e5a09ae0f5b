;; A copy of the types of hookhost:hook@0.1.0. Existing modules were built from them, so the tests fail if a change of
;; wit/hook.wit breaks these modules.
    (type $.address (record (field "ip" string) (field "port" u16)))
    (export "address" (type $address (eq $.address)))
    (type $.node (record (field "name" string) (field "id" u32)))
    (export "node" (type $node (eq $.node)))
    (type $.client (record
      (field "id" string) (field "username" (option string)) (field "peer" (option $address))
      (field "protocol-version" u8) (field "node" (option $node))
      (field "attributes" (option (list (tuple string string))))))
    (export "client" (type $client (eq $.client)))
    (type $.transport (enum "tcp" "tls" "websocket" "websocket-tls" "quic" "other"))
    (export "transport" (type $transport (eq $.transport)))
    (type $.certificate (record (field "common-name" string) (field "subject" string)))
    (export "certificate" (type $certificate (eq $.certificate)))
    (type $.property (variant
      (case "payload-format-indicator" u8) (case "message-expiry-interval" u32) (case "content-type" string)
      (case "response-topic" string) (case "correlation-data" (list u8)) (case "subscription-identifier" u32)
      (case "session-expiry-interval" u32) (case "assigned-client-identifier" string) (case "server-keep-alive" u16)
      (case "authentication-method" string) (case "request-problem-information" bool)
      (case "will-delay-interval" u32) (case "request-response-information" bool)
      (case "response-information" string) (case "server-reference" string) (case "reason-string" string)
      (case "receive-maximum" u16) (case "topic-alias-maximum" u16) (case "topic-alias" u16) (case "maximum-qos" u8)
      (case "retain-available" bool) (case "maximum-packet-size" u32) (case "wildcard-subscription-available" bool)
      (case "subscription-identifier-available" bool) (case "shared-subscription-available" bool)))
    (export "property" (type $property (eq $.property)))
    (type $.properties (record (field "standard" (list $property)) (field "user" (list (tuple string string)))))
    (export "properties" (type $properties (eq $.properties)))
    (type $.connection (record
      (field "client" $client) (field "listener" string) (field "transport" $transport)
      (field "local" (option $address)) (field "protocol-name" string) (field "bridge" bool)
      (field "keep-alive" u16) (field "clean-start" bool) (field "session-expiry" u32) (field "receive-maximum" u16)
      (field "mountpoint" (option string)) (field "certificate" (option $certificate))
      (field "properties" (option $properties))))
    (export "connection" (type $connection (eq $.connection)))
    (type $.connack (record
      (field "connection" $connection) (field "code" u8) (field "session-present" bool)
      (field "connected-at" (option u64)) (field "properties" (option $properties))))
    (export "connack" (type $connack (eq $.connack)))
    (type $.end-reason (enum
      "disconnect" "closed" "socket-error" "io-timeout" "keep-alive-timeout" "kicked" "taken-over" "discarded"
      "not-authorized" "protocol-error" "subscribe-failed" "unsubscribe-failed" "limit-exceeded" "too-slow"
      "expired" "module" "shutdown" "internal-error" "other"))
    (export "end-reason" (type $end-reason (eq $.end-reason)))
    (type $.end (record
      (field "reason" $end-reason) (field "code" (option u8)) (field "text" (option string))
      (field "properties" (option $properties))))
    (export "end" (type $end (eq $.end)))
    (type $.disconnection (record
      (field "connection" $connection) (field "end" $end) (field "connected-at" (option u64))
      (field "disconnected-at" u64)))
    (export "disconnection" (type $disconnection (eq $.disconnection)))
    (type $.authentication (record
      (field "connection" $connection) (field "code" u8) (field "anonymous" bool) (field "superuser" bool)
      (field "source" string)))
    (export "authentication" (type $authentication (eq $.authentication)))
    (type $.access (enum "publish" "subscribe"))
    (export "access" (type $access (eq $.access)))
    (type $.authorization (record
      (field "client" $client) (field "access" $access) (field "topic" string) (field "allowed" bool)
      (field "source" string)))
    (export "authorization" (type $authorization (eq $.authorization)))
    (type $.subscription (record
      (field "client" $client) (field "filter" string) (field "group" (option string)) (field "qos" u8)
      (field "no-local" bool) (field "retain-as-published" bool) (field "retain-handling" u8)
      (field "id" (option u32)) (field "limit" (option u32)) (field "code" u8) (field "is-new" bool)
      (field "properties" (option $properties))))
    (export "subscription" (type $subscription (eq $.subscription)))
    (type $.unsubscription (record
      (field "client" $client) (field "filter" string) (field "group" (option string)) (field "qos" u8)
      (field "code" u8) (field "properties" (option $properties))))
    (export "unsubscription" (type $unsubscription (eq $.unsubscription)))
    (type $.session (record (field "client" $client) (field "created-at" (option u64))))
    (export "session" (type $session (eq $.session)))
    (type $.termination (record (field "session" $session) (field "end" $end)))
    (export "termination" (type $termination (eq $.termination)))
    (type $.origin (enum "client" "will" "admin" "system" "bridge" "module"))
    (export "origin" (type $origin (eq $.origin)))
    (type $.message (record
      (field "id" string) (field "publisher" $client) (field "origin" $origin) (field "topic" string)
      (field "payload" (list u8)) (field "qos" u8) (field "retain" bool) (field "dup" bool)
      (field "packet-id" (option u16)) (field "received-at" u64) (field "properties" (option $properties))))
    (export "message" (type $message (eq $.message)))
    (type $.delivery (record
      (field "receiver" $client) (field "message" $message) (field "qos" u8) (field "retain" bool)
      (field "dup" bool) (field "packet-id" (option u16)) (field "retained" bool) (field "group" (option string))
      (field "subscription-ids" (option (list u32)))))
    (export "delivery" (type $delivery (eq $.delivery)))
    (type $.acknowledgement (record
      (field "delivery" $delivery) (field "code" u8) (field "properties" (option $properties))))
    (export "acknowledgement" (type $acknowledgement (eq $.acknowledgement)))
    (type $.drop-reason (enum
      "no-subscribers" "not-authorized" "packet-id-in-use" "receive-maximum-exceeded" "limit-exceeded" "invalid"
      "module" "queue-full" "window-full" "not-queued" "expired" "no-local" "too-large" "refused" "disconnected"
      "session-ended" "other"))
    (export "drop-reason" (type $drop-reason (eq $.drop-reason)))
    (type $.message-drop (record
      (field "message" $message) (field "reason" $drop-reason) (field "code" u8) (field "text" (option string))))
    (export "message-drop" (type $message-drop (eq $.message-drop)))
    (type $.delivery-drop (record
      (field "delivery" $delivery) (field "reason" $drop-reason) (field "code" u8) (field "text" (option string))))
    (export "delivery-drop" (type $delivery-drop (eq $.delivery-drop)))
    (type $.delivery-loss (record
      (field "receiver" $client) (field "filter" string) (field "group" (option string)) (field "count" u32)))
    (export "delivery-loss" (type $delivery-loss (eq $.delivery-loss)))
    (type $.other-event (record (field "name" string) (field "client" (option $client)) (field "data" string)))
    (export "other-event" (type $other-event (eq $.other-event)))
    (type $.detail (variant
      (case "client-connect" $connection) (case "client-connack" $connack) (case "client-connected" $connack)
      (case "client-disconnected" $disconnection) (case "client-authenticated" $authentication)
      (case "client-authorized" $authorization) (case "client-subscribe" $subscription)
      (case "client-unsubscribe" $unsubscription) (case "session-created" $session)
      (case "session-resumed" $session) (case "session-subscribed" $subscription)
      (case "session-unsubscribed" $unsubscription) (case "session-discarded" $session)
      (case "session-taken-over" $session) (case "session-terminated" $termination)
      (case "message-publish" $message) (case "message-delivered" $delivery) (case "message-acked" $acknowledgement)
      (case "message-dropped" $message-drop) (case "message-refused" $message-drop) (case "delivery-dropped" $delivery-drop)
      (case "message-queued" $delivery) (case "delivery-lost" $delivery-loss) (case "other" $other-event)))
    (export "detail" (type $detail (eq $.detail)))
    (type $.event (record
      (field "id" string) (field "at" u64) (field "utc-offset" s16) (field "detail" $detail)
      (field "extras" (option (list (tuple string string))))))
    (export "event" (type $event (eq $.event)))
    (type $.host-info (record
      (field "node" $node) (field "version" string) (field "module" string) (field "generation" u32)))
    (export "host-info" (type $host-info (eq $.host-info)))
    (type $.hook (enum
      "client-connect" "client-connack" "client-connected" "client-disconnected" "client-authenticated"
      "client-authorized" "client-subscribe" "client-unsubscribe" "session-created" "session-resumed"
      "session-subscribed" "session-unsubscribed" "session-discarded" "session-taken-over" "session-terminated"
      "message-publish" "message-delivered" "message-acked" "message-dropped" "message-refused" "delivery-dropped" "message-queued"
      "delivery-lost" "other"))
    (export "hook" (type $hook (eq $.hook)))
    (type $.interest (record (field "hook" $hook) (field "filters" (list string))))
    (export "interest" (type $interest (eq $.interest)))
    (type $.method (enum "get" "post" "put" "patch" "delete"))
    (export "method" (type $method (eq $.method)))
    (type $.body (variant (case "text" string) (case "bytes" (list u8))))
    (export "body" (type $body (eq $.body)))
    (type $.request (record
      (field "method" $method) (field "url" string) (field "headers" (list (tuple string string)))
      (field "body" $body) (field "ordering-key" (option string)) (field "destination" (option string))
      (field "options" (list (tuple string string)))))
    (export "request" (type $request (eq $.request)))
    (type $.outcome (variant (case "ignore") (case "deliver" (list $request)) (case "fail" string)))
    (export "outcome" (type $outcome (eq $.outcome)))
    (type $.problem (record (field "key" string) (field "text" string)))
    (export "problem" (type $problem (eq $.problem)))
