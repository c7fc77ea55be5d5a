package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
)

const (
	askTime  = 3 * time.Second
	maxReply = 1 << 20
)

// Ask is the status of the process whose monitor listens at address.
func Ask(ctx context.Context, address string) (Status, error) {
	var t Status
	if err := home.CheckLoopback(address); err != nil {
		return t, fmt.Errorf("monitor: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", nil)
	if err != nil {
		return t, fmt.Errorf("monitor: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	reply, err := client.Do(request)
	if err != nil {
		return t, fmt.Errorf("monitor: %w", err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return t, fmt.Errorf("monitor: %s answers %s; another program has its port", address, reply.Status)
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(&t); err != nil {
		return t, fmt.Errorf("monitor: %s: %w; another program has its port", address, err)
	}
	return t, nil
}
