package gate

import (
	"sync"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// rates are token buckets, one a peer: rate tokens a second, at most burst.
type rates struct {
	rate, burst float64

	mu sync.Mutex
	by map[ledger.Key]bucket
}

type bucket struct {
	tokens float64
	at     time.Time // when it held them
}

func newRates(rate, burst float64) *rates {
	return &rates{rate: rate, burst: burst, by: map[ledger.Key]bucket{}}
}

// take takes a token of key's, if there is one at now.
func (r *rates) take(key ledger.Key, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.by[key]
	if !ok {
		r.forget(now)
		b = bucket{r.burst, now}
	}
	b = r.fill(b, now)
	ok = b.tokens >= 1
	if ok {
		b.tokens--
	}
	r.by[key] = b
	return ok
}

// fill is b at now. A clock that went back fills nothing.
func (r *rates) fill(b bucket, now time.Time) bucket {
	if past := now.Sub(b.at); past > 0 {
		b.tokens = min(r.burst, b.tokens+r.rate*past.Seconds())
	}
	b.at = now
	return b
}

// forget drops full buckets, which are as good as none, so that there are no
// more than peers that called lately.
func (r *rates) forget(now time.Time) {
	for key, b := range r.by {
		if r.fill(b, now).tokens >= r.burst {
			delete(r.by, key)
		}
	}
}
