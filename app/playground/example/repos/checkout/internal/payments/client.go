// Package payments calls the payments service.
package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type Client struct {
	BaseURL  string
	HTTP     *http.Client
	Timeout  time.Duration // PAYMENTS_TIMEOUT_MS, 2 s
	Attempts int           // PAYMENTS_ATTEMPTS, 3
}

type Charge struct {
	OrderID string `json:"order_id"`
	Cents   int64  `json:"cents"`
}

// Charge charges an order. TODO: send Idempotency-Key before launch.
func (c *Client) Charge(ctx context.Context, charge Charge) error {
	body, err := json.Marshal(charge)
	if err != nil {
		return err
	}
	for attempt := 1; attempt <= c.Attempts; attempt++ {
		if err = c.once(ctx, body); err == nil {
			return nil
		}
	}
	return fmt.Errorf("charge %s: %w", charge.OrderID, err)
}

func (c *Client) once(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BaseURL+"/v2/charges", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		return fmt.Errorf("payments answered %d", res.StatusCode)
	}
	return nil
}
