// Package inventory reserves stock for an order.
package inventory

import "time"

// Timeout of one reservation; there is no retry, because reservations are not idempotent.
const Timeout = 500 * time.Millisecond

// HoldFor is how long checkout believes a reservation lasts.
const HoldFor = 15 * time.Minute
