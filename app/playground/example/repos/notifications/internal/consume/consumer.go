package consume

import "time"

// Window in which a message_id that comes again is dropped.
const Window = 72 * time.Hour

// Attempts before a message goes to notifications-dlq.
const Attempts = 5
